import { checkInteger, checkNumber } from '../core/errors';
import type { Tensor } from '../core/tensor';
import { gaSoftmax } from '../losses';
import { checkSmoothing, lengths } from '../losses/angular_softmax';
import * as ops from '../ops';
import type { MarginFunction } from '../ops';
import { widened } from '../ops/cast';
import { checkAngular } from './angular';
import type { AngularOptions, CheckedAngular } from './angular';
import { annealed, checkAnnealing, counter, countOf } from './annealing';
import type { Annealing, CheckedAnnealing } from './annealing';
import { checkFeatures, Head } from './head';
import { heNormal } from './init';
import type { InitOptions, Initializer } from './init';
import { parameter } from './parameter';

export interface AngularHeadOptions extends AngularOptions, InitOptions {
  /** The target's angle counts this many times in the loss, at least 1; 1 by default. */
  margin?: number | undefined;
  /** Lets the margin come in step by step; `{}` for the authors' schedule. In full from the start by default. */
  annealing?: Annealing | undefined;
  /** Share of the target's probability that is spread over all classes, in [0, 1); 0 by default. */
  labelSmoothing?: number | undefined;
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
 * const sphereFace = new nn.AngularHead(512, 10_572, { margin: 4, annealing: {} });
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
  readonly labelSmoothing: number;
  /**
   * How many times loss() was called in training mode: int32 [1], a part of the state, so that a training that is
   * taken up again goes on with the λ it had. Null without annealing.
   */
  readonly iterations: Tensor | null;
  private readonly annealing: CheckedAnnealing | null;
  private readonly angular: CheckedAngular<MarginFunction>;

  /** @throws SphereNetError naming the argument that is out of range */
  constructor(features: number, classes: number, options: AngularHeadOptions = {}) {
    super();
    const { margin = 1, dtype = 'float32', generator, init = heNormal } = options;
    const { annealing, labelSmoothing = 0 } = options;
    checkInteger('AngularHead', 'features', features, 1);
    checkInteger('AngularHead', 'classes', classes, 2);
    checkNumber('AngularHead', 'margin', margin, 'a number of at least 1', (value) => value >= 1);
    checkSmoothing('AngularHead', labelSmoothing);
    this.features = features;
    this.classes = classes;
    this.margin = margin;
    this.labelSmoothing = labelSmoothing;
    this.annealing = annealing ? checkAnnealing('AngularHead', annealing) : null;
    this.angular = checkAngular('AngularHead', options);
    this.weight = parameter(init([classes, features], { dtype, generator }), 'sphereKernel');
    this.iterations = annealing ? counter() : null;
  }

  /** λ of the last loss in training mode, and of those in inference mode; 0 without annealing. */
  get lambda(): number {
    return this.annealing && this.iterations ? annealed(this.annealing, countOf(this.iterations)) : 0;
  }

  /** ‖x‖ g(θ) without the margin, which is for training only; float32 where the features have 16 bits. */
  logits(features: Tensor): Tensor {
    checkFeatures(this, features);
    const x = widened(features);
    return ops.mul(ops.sphereLinear(x, this.weight, this.angular), lengths(x, this.angular.epsilon));
  }

  loss(features: Tensor, labels: Tensor): Tensor {
    checkFeatures(this, features);
    const { angular, annealing, iterations, margin, labelSmoothing } = this;
    const iteration = iterations ? countOf(iterations) + (this.training ? 1 : 0) : 0;
    const lambda = annealing ? annealed(annealing, iteration) : 0;
    const options = { ...angular, margin, lambda, labelSmoothing };
    const loss = gaSoftmax(features, this.weight, labels, options);
    if (this.training) iterations?.assign([iteration]);
    return loss;
  }
}
