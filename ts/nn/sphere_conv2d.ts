import type { Tensor } from '../core/tensor';
import * as ops from '../ops';
import type { ConvOptions, Pair } from '../ops';
import { AngularLayer } from './angular_layer';
import type { SphereLayerOptions } from './angular_layer';
import type { BatchNorm2d } from './batch_norm2d';
import { checkConv } from './geometry';
import type { CheckedConv } from './geometry';

export interface SphereConv2dOptions extends SphereLayerOptions, ConvOptions {}

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
export class SphereConv2d extends AngularLayer {
  readonly inChannels: number;
  readonly outChannels: number;
  private readonly conv: CheckedConv['conv'];

  /**
   * @param kernel side of the kernel, or `[height, width]`
   * @throws SphereNetError naming the argument that is out of range
   */
  constructor(inChannels: number, outChannels: number, kernel: Pair, options: SphereConv2dOptions = {}) {
    const { conv, weightShape } = checkConv('SphereConv2d', inChannels, outChannels, kernel, options);
    super('SphereConv2d', weightShape, options);
    this.inChannels = inChannels;
    this.outChannels = outChannels;
    this.conv = conv;
  }

  override forwardRescaled(input: Tensor, rescale: ops.Rescaling | undefined, relu: boolean): Tensor {
    return ops.sphereConv2d(input, this.weight, { ...this.options(), rescale, relu });
  }

  override forwardNormed(input: Tensor, norm: BatchNorm2d, relu: boolean): Tensor {
    const { momentum, epsilon, training } = norm;
    const options = { ...this.options(), norm: { momentum, epsilon, training, relu } };
    return ops.sphereConv2dNorm(input, this.weight, norm, options);
  }

  private options(): ops.AngularOptions & ConvOptions {
    return { ...this.conv, ...this.operatorInEffect() };
  }
}
