import { checkInteger, checkOneOf } from '../core/errors';
import type { Tensor } from '../core/tensor';
import { lengths } from '../losses/angular_softmax';
import { checkMarginLoss, MARGIN_LOSSES, marginSoftmax } from '../losses/margin_softmax';
import type { CheckedMarginLoss, MarginLoss, MarginLossOptions } from '../losses/margin_softmax';
import * as ops from '../ops';
import { widened } from '../ops/cast';
import { checkFeatures, Head } from './head';
import { heNormal } from './init';
import type { InitOptions, Initializer } from './init';
import { parameter } from './parameter';

/** The loss by name, its options as in `losses`, and how the weight is made. */
export type MarginHeadOptions = {
  [Loss in MarginLoss]: { loss: Loss } & MarginLossOptions[Loss];
}[MarginLoss] &
  InitOptions & {
    /** How the weight is made; heNormal by default. */
    init?: Initializer | undefined;
  };

/**
 * Classifier by angles whose features count as of one length: {@link losses.normFace}, {@link losses.cosFace},
 * {@link losses.arcFace}, {@link losses.sphereFace} or {@link losses.sphereFaceR}.
 *
 * ```ts
 * const head = new nn.MarginHead(512, 10_572, { loss: 'arcFace', scale: 64, margin: 0.5 });
 * ```
 *
 * Features are `[N, features]`, the weight is `[classes, features]`.
 */
export class MarginHead extends Head {
  /** One direction per class; role `sphereKernel`. */
  readonly weight: Tensor;
  readonly features: number;
  readonly classes: number;
  private readonly checked: CheckedMarginLoss;

  /** @throws SphereNetError naming the argument that is out of range */
  constructor(features: number, classes: number, options: MarginHeadOptions) {
    super();
    const { loss, dtype = 'float32', generator, init = heNormal, ...rest } = options;
    checkInteger('MarginHead', 'features', features, 1);
    checkInteger('MarginHead', 'classes', classes, 2);
    checkOneOf('MarginHead', 'loss', loss, MARGIN_LOSSES);
    this.features = features;
    this.classes = classes;
    this.checked = checkMarginLoss('MarginHead', loss, rest);
    this.weight = parameter(init([classes, features], { dtype, generator }), 'sphereKernel');
  }

  /** s cos θ without the margin, which is for training only; float32 where the features have 16 bits. */
  logits(features: Tensor): Tensor {
    checkFeatures(this, features);
    const x = widened(features);
    const { params, epsilon } = this.checked;
    const cosines = ops.sphereLinear(x, this.weight, { epsilon });
    return params.scale > 0 ? ops.scale(cosines, params.scale) : ops.mul(cosines, lengths(x, epsilon));
  }

  loss(features: Tensor, labels: Tensor): Tensor {
    checkFeatures(this, features);
    return marginSoftmax(this.checked, features, this.weight, labels);
  }
}
