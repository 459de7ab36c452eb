import type { Tensor } from '../core/tensor';
import * as ops from '../ops';
import type { ConvOptions, Pair } from '../ops';
import type { BatchNorm2d } from './batch_norm2d';
import { angularOptions, checkAngularLayer, curvatureInEffect, radiusInEffect } from './angular';
import type { AngularLayerOptions, CheckedLayer } from './angular';
import { createCurvature } from './curvature';
import { checkConv } from './geometry';
import type { CheckedConv } from './geometry';
import { heNormal } from './init';
import type { InitOptions, Initializer } from './init';
import { Module } from './module';
import { parameter } from './parameter';
import { createRadius } from './radius';

export interface SphereConv2dOptions extends AngularLayerOptions, ConvOptions, InitOptions {
  /** How the weight is made; heNormal by default. */
  init?: Initializer | undefined;
}

/**
 * Hyperspherical convolution (Liu et al., NIPS 2017): the output is g(θ), θ the angle between a kernel
 * and a patch, so it lies in [−1, 1] whatever the lengths of both; a decoupled operator multiplies it by a function of
 * the patch's length. There is no bias.
 *
 * ```ts
 * new nn.SphereConv2d(3, 64, 3, { padding: 1 });                                  // cosine
 * new nn.SphereConv2d(3, 64, 3, { padding: 1, operator: 'sigmoid', k: 0.3 });
 * new nn.SphereConv2d(3, 64, 3, { padding: 1, operator: 'sigmoid', k: 'learnable' });
 * new nn.SphereConv2d(3, 64, 3, { padding: 1, operator: { magnitude: 'tanh', radius: 'learnable' } });
 * ```
 *
 * Input `[N, H, W, inChannels]`, output `[N, OH, OW, outChannels]`, weight
 * `[outChannels, KH, KW, inChannels / groups]`. Zero padding enters as zeros, in the norm of the patch too.
 */
export class SphereConv2d extends Module {
  /** Role `sphereKernel`: optimisers do not decay it by default. */
  readonly weight: Tensor;
  /** Raw learnable curvature, `[outChannels]` or `[1]`, role `curvature`; null where k is fixed. */
  readonly curvature: Tensor | null;
  /** Raw learnable radius of a decoupled operator, `[outChannels]` or `[1]`, role `radius`; null where it is fixed. */
  readonly radius: Tensor | null;
  /** Running average of the mean patch norm, with the sum of its weights: a buffer `[2]`; null where it is no unit. */
  readonly normAverage: Tensor | null;
  readonly inChannels: number;
  readonly outChannels: number;
  private readonly conv: CheckedConv['conv'];
  /** @internal */
  readonly angular: CheckedLayer;

  /**
   * @param kernel side of the kernel, or `[height, width]`
   * @throws SphereNetError naming the argument that is out of range
   */
  constructor(inChannels: number, outChannels: number, kernel: Pair, options: SphereConv2dOptions = {}) {
    super();
    const { conv, weightShape } = checkConv('SphereConv2d', inChannels, outChannels, kernel, options);
    const { dtype = 'float32', generator, init = heNormal } = options;
    this.inChannels = inChannels;
    this.outChannels = outChannels;
    this.conv = conv;
    this.angular = checkAngularLayer('SphereConv2d', options);
    const curvature = createCurvature('SphereConv2d', options, outChannels, dtype);
    this.weight = parameter(init(weightShape, { dtype, generator }), 'sphereKernel');
    this.curvature = curvature;
    const { radius, normAverage } = createRadius(
      this.angular.decoupled,
      options.radiusUnit,
      outChannels,
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
    return ops.sphereConv2d(input, this.weight, this.options());
  }

  /** forward(), the batch norm behind it in training, and a ReLU behind that where `relu`, as one op. @internal */
  forwardNormed(input: Tensor, norm: BatchNorm2d, relu: boolean): Tensor {
    const { momentum, epsilon } = norm;
    const options = { ...this.options(), norm: { momentum, epsilon, relu } };
    return ops.sphereConv2dNorm(input, this.weight, norm, options);
  }

  private options(): ops.AngularOptions & ConvOptions {
    return { ...this.conv, ...angularOptions(this) };
  }
}
