import { checkNumber } from '../core/errors';
import type { Tensor } from '../core/tensor';
import * as ops from '../ops';
import { Head } from './head';
import { Linear } from './linear';
import type { LinearOptions } from './linear';

export interface SoftmaxHeadOptions extends LinearOptions {
  /** Share of the target's probability that is spread over all classes, in [0, 1); 0 by default. */
  labelSmoothing?: number | undefined;
}

/** A linear layer and softmax cross-entropy: the ordinary end of a classifier. */
export class SoftmaxHead extends Head {
  readonly linear: Linear;
  readonly labelSmoothing: number;

  /** @throws SphereNetError naming the argument that is out of range */
  constructor(features: number, classes: number, options: SoftmaxHeadOptions = {}) {
    super();
    const { labelSmoothing = 0 } = options;
    const isShare = (value: number): boolean => value >= 0 && value < 1;
    checkNumber('SoftmaxHead', 'labelSmoothing', labelSmoothing, 'a number in [0, 1)', isShare);
    this.labelSmoothing = labelSmoothing;
    this.linear = new Linear(features, classes, options);
  }

  get features(): number {
    return this.linear.inFeatures;
  }

  get classes(): number {
    return this.linear.outFeatures;
  }

  logits(features: Tensor): Tensor {
    return this.linear.forward(features);
  }

  loss(features: Tensor, labels: Tensor): Tensor {
    const { labelSmoothing } = this;
    return ops.softmaxCrossEntropy(this.logits(features), labels, { labelSmoothing });
  }
}
