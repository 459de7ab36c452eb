import { full } from '../core/create';
import { checkInteger } from '../core/errors';
import type { Tensor } from '../core/tensor';
import { sphereFace2, sphereFace2Bias } from '../losses';
import type { SphereFace2Options } from '../losses';
import { classCosines, similarity, sphereFace2Settings } from '../losses/sphere_face2';
import type { SphereFace2Settings } from '../losses/sphere_face2';
import * as ops from '../ops';
import { Head } from './head';
import { heNormal } from './init';
import type { InitOptions, Initializer } from './init';
import { parameter } from './parameter';

export interface SphereFace2HeadOptions extends SphereFace2Options, InitOptions {
  /** How the weight is made; heNormal by default. */
  init?: Initializer | undefined;
}

/**
 * Classifier by angles, trained with {@link sphereFace2}: one yes-or-no question per class instead of a softmax.
 *
 * ```ts
 * const head = new nn.SphereFace2Head(256, 10, { scale: 40, margin: 0.4 });
 * ```
 *
 * Features are `[N, features]`, the weight is `[classes, features]`, the bias `[1]`. The bias starts where the loss of
 * features at right angles to all classes does not change with it; {@link sphereFace2Bias} has the derivation.
 */
export class SphereFace2Head extends Head {
  /** One direction per class; role `sphereKernel`. */
  readonly weight: Tensor;
  /** One number for all classes, `[1]`; role `bias`. */
  readonly bias: Tensor;
  readonly features: number;
  readonly classes: number;
  private readonly settings: SphereFace2Settings;

  /** @throws SphereNetError naming the argument that is out of range */
  constructor(features: number, classes: number, options: SphereFace2HeadOptions = {}) {
    super();
    const { dtype = 'float32', generator, init = heNormal } = options;
    checkInteger('SphereFace2Head', 'features', features, 1);
    checkInteger('SphereFace2Head', 'classes', classes, 2);
    this.features = features;
    this.classes = classes;
    this.settings = sphereFace2Settings('SphereFace2Head', options);
    this.weight = parameter(init([classes, features], { dtype, generator }), 'sphereKernel');
    this.bias = parameter(full([1], sphereFace2Bias(classes, this.settings), { dtype }), 'bias');
  }

  /** r g(cos θ) + b without the margin, which is for training only; float32 where the features have 16 bits. */
  logits(features: Tensor): Tensor {
    const { scale, t } = this.settings;
    return ops.add(ops.scale(similarity(classCosines(features, this.weight), t), scale), this.bias);
  }

  loss(features: Tensor, labels: Tensor): Tensor {
    return sphereFace2(features, this.weight, labels, this.bias, this.settings);
  }
}
