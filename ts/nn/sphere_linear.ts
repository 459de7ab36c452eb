import { checkInteger } from '../core/errors';
import type { Tensor } from '../core/tensor';
import * as ops from '../ops';
import type { BatchNorm2d } from './batch_norm2d';
import { angularOptions, checkAngularLayer, curvatureInEffect, radiusInEffect } from './angular';
import type { AngularLayerOptions, CheckedLayer } from './angular';
import { createCurvature } from './curvature';
import { heNormal } from './init';
import type { InitOptions, Initializer } from './init';
import { Module } from './module';
import { parameter } from './parameter';
import { createRadius } from './radius';

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
  /** Raw learnable radius of a decoupled operator, `[outFeatures]` or `[1]`, role `radius`; null where it is fixed. */
  readonly radius: Tensor | null;
  /** Running average of the mean patch norm, with the sum of its weights: a buffer `[2]`; null where it is no unit. */
  readonly normAverage: Tensor | null;
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** @internal */
  readonly angular: CheckedLayer;

  /** @throws SphereNetError naming the argument that is out of range */
  constructor(inFeatures: number, outFeatures: number, options: SphereLinearOptions = {}) {
    super();
    checkInteger('SphereLinear', 'inFeatures', inFeatures, 1);
    checkInteger('SphereLinear', 'outFeatures', outFeatures, 1);
    const { dtype = 'float32', generator, init = heNormal } = options;
    this.inFeatures = inFeatures;
    this.outFeatures = outFeatures;
    this.angular = checkAngularLayer('SphereLinear', options);
    const curvature = createCurvature('SphereLinear', options, outFeatures, dtype);
    this.weight = parameter(init([outFeatures, inFeatures], { dtype, generator }), 'sphereKernel');
    this.curvature = curvature;
    const { radius, normAverage } = createRadius(
      this.angular.decoupled,
      options.radiusUnit,
      outFeatures,
      dtype,
    );
    this.radius = radius;
    this.normAverage = normAverage;
  }

  /** The k in effect: the fixed number, |raw| + 0.05 where it is learnt, undefined where the operator has none. */
  k(): number | Tensor | undefined {
    return curvatureInEffect(this);
  }

  /** ρ in its unit: the fixed number, raw² + 1e-4 where it is learnt, undefined where the operator has none. */
  rho(): number | Tensor | undefined {
    return radiusInEffect(this);
  }

  forward(input: Tensor): Tensor {
    return ops.sphereLinear(input, this.weight, angularOptions(this));
  }

  /** forward(), the batch norm behind it in training, and a ReLU behind that where `relu`, as one op. @internal */
  forwardNormed(input: Tensor, norm: BatchNorm2d, relu: boolean): Tensor {
    const { momentum, epsilon } = norm;
    const options = { ...angularOptions(this), norm: { momentum, epsilon, relu } };
    return ops.sphereLinearNorm(input, this.weight, norm, options);
  }
}
