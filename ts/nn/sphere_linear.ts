import { checkInteger } from '../core/errors';
import type { Tensor } from '../core/tensor';
import * as ops from '../ops';
import type { BatchNorm2d } from './batch_norm2d';
import { checkAngular, createCurvature, effectiveCurvature } from './angular';
import type { AngularLayerOptions, CheckedAngular } from './angular';
import { ANGULAR_FUNCTIONS } from '../ops/angular_forward';
import { heNormal } from './init';
import type { InitOptions, Initializer } from './init';
import { Module } from './module';
import { parameter } from './parameter';

export interface SphereLinearOptions extends AngularLayerOptions, InitOptions {
  /** How the weight is made; heNormal by default. */
  init?: Initializer | undefined;
}

/**
 * Hyperspherical fully connected layer: g of the angle between the input vector and each row of the weight, a
 * SphereConv whose kernel covers the whole map. No bias; outputs lie in [−1, 1].
 *
 * Input `[N, inFeatures]`, output `[N, outFeatures]`, weight `[outFeatures, inFeatures]`.
 */
export class SphereLinear extends Module {
  /** Role `sphereKernel`: optimisers do not decay it by default. */
  readonly weight: Tensor;
  /** Raw learnable curvature, `[outFeatures]` or `[1]`, role `curvature`; null where k is fixed. */
  readonly curvature: Tensor | null;
  readonly inFeatures: number;
  readonly outFeatures: number;
  private readonly angular: CheckedAngular;

  /** @throws SphereNetError naming the argument that is out of range */
  constructor(inFeatures: number, outFeatures: number, options: SphereLinearOptions = {}) {
    super();
    checkInteger('SphereLinear', 'inFeatures', inFeatures, 1);
    checkInteger('SphereLinear', 'outFeatures', outFeatures, 1);
    const { dtype = 'float32', generator, init = heNormal } = options;
    this.inFeatures = inFeatures;
    this.outFeatures = outFeatures;
    this.angular = checkAngular('SphereLinear', options, ANGULAR_FUNCTIONS);
    this.weight = parameter(init([outFeatures, inFeatures], { dtype, generator }), 'sphereKernel');
    this.curvature = createCurvature(options, outFeatures, dtype);
  }

  /** The k in effect: the fixed number, |raw| + 0.05 where it is learnt, undefined where the operator has none. */
  k(): number | Tensor | undefined {
    return this.curvature === null ? this.angular.k : effectiveCurvature(this.curvature);
  }

  forward(input: Tensor): Tensor {
    return ops.sphereLinear(input, this.weight, this.options());
  }

  /** forward(), the batch norm behind it in training, and a ReLU behind that where `relu`, as one op. @internal */
  forwardNormed(input: Tensor, norm: BatchNorm2d, relu: boolean): Tensor {
    const { momentum, epsilon } = norm;
    const options = { ...this.options(), norm: { momentum, epsilon, relu } };
    return ops.sphereLinearNorm(input, this.weight, norm, options);
  }

  private options(): ops.AngularOptions {
    const k = this.k();
    return { ...this.angular, ...(k !== undefined && { k }) };
  }
}
