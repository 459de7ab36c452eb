import { checkInteger, checkNumber } from '../core/errors';
import type { Tensor } from '../core/tensor';
import { gaSoftmax } from '../losses';
import * as ops from '../ops';
import { widened } from '../ops/cast';
import { checkAngular } from './angular';
import type { AngularOptions, CheckedAngular } from './angular';
import { Head } from './head';
import { heNormal } from './init';
import type { InitOptions, Initializer } from './init';
import { parameter } from './parameter';

export interface AngularHeadOptions extends AngularOptions, InitOptions {
  /** The target's angle counts this many times in the loss, at least 1; 1 by default. */
  margin?: number | undefined;
  /** How the weight is made; heNormal by default. */
  init?: Initializer | undefined;
}

/**
 * Classifier by angles, trained with {@link gaSoftmax}. Margin 1 is W-Softmax; above it the loss asks for an angle to
 * the own class that is `margin` times smaller than to the others: operator `cosine` is then A-Softmax (SphereFace),
 * `linear` the paper's GA-Softmax.
 *
 * ```ts
 * const head = new nn.AngularHead(256, 10, { operator: 'linear', margin: 4 });
 * ```
 *
 * Features are `[N, features]`, the weight is `[classes, features]`.
 */
export class AngularHead extends Head {
  /** One direction per class; role `sphereKernel`. */
  readonly weight: Tensor;
  readonly features: number;
  readonly classes: number;
  readonly margin: number;
  private readonly angular: CheckedAngular;

  /** @throws SphereNetError naming the argument that is out of range */
  constructor(features: number, classes: number, options: AngularHeadOptions = {}) {
    super();
    const { margin = 1, dtype = 'float32', generator, init = heNormal } = options;
    checkInteger('AngularHead', 'features', features, 1);
    checkInteger('AngularHead', 'classes', classes, 2);
    checkNumber('AngularHead', 'margin', margin, 'a number of at least 1', (value) => value >= 1);
    this.features = features;
    this.classes = classes;
    this.margin = margin;
    this.angular = checkAngular('AngularHead', options);
    this.weight = parameter(init([classes, features], { dtype, generator }), 'sphereKernel');
  }

  /** ‖x‖ g(θ) without the margin, which is for training only; float32 where the features have 16 bits. */
  logits(features: Tensor): Tensor {
    const x = widened(features);
    return ops.mul(ops.sphereLinear(x, this.weight, this.angular), lengths(x, this.angular.epsilon));
  }

  loss(features: Tensor, labels: Tensor): Tensor {
    return gaSoftmax(features, this.weight, labels, { ...this.angular, margin: this.margin });
  }
}

/** √(Σx² + ε) of each row, `[N, 1]`. */
function lengths(x: Tensor, epsilon: number): Tensor {
  return ops.sqrt(ops.scale(ops.sum(ops.square(x), { axes: 1, keepDims: true }), 1, epsilon));
}
