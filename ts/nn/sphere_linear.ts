import { checkInteger } from '../core/errors';
import type { Tensor } from '../core/tensor';
import * as ops from '../ops';
import { AngularLayer } from './angular_layer';
import type { SphereLayerOptions } from './angular_layer';
import type { BatchNorm2d } from './batch_norm2d';

export type SphereLinearOptions = SphereLayerOptions;

/**
 * Hyperspherical fully connected layer: g of the angle between the input vector and each row of the weight, a
 * SphereConv whose kernel covers the whole map. No bias; outputs lie in [−1, 1].
 *
 * Input `[N, inFeatures]`, output `[N, outFeatures]`, weight `[outFeatures, inFeatures]`.
 */
export class SphereLinear extends AngularLayer {
  readonly inFeatures: number;
  readonly outFeatures: number;

  /** @throws SphereNetError naming the argument that is out of range */
  constructor(inFeatures: number, outFeatures: number, options: SphereLinearOptions = {}) {
    checkInteger('SphereLinear', 'inFeatures', inFeatures, 1);
    checkInteger('SphereLinear', 'outFeatures', outFeatures, 1);
    super('SphereLinear', [outFeatures, inFeatures], options);
    this.inFeatures = inFeatures;
    this.outFeatures = outFeatures;
  }

  override forwardRescaled(input: Tensor, rescale: ops.Rescaling | undefined, relu: boolean): Tensor {
    return ops.sphereLinear(input, this.weight, { ...this.operatorInEffect(), rescale, relu });
  }

  override forwardNormed(input: Tensor, norm: BatchNorm2d, relu: boolean): Tensor {
    const { momentum, epsilon, training } = norm;
    const options = { ...this.operatorInEffect(), norm: { momentum, epsilon, training, relu } };
    return ops.sphereLinearNorm(input, this.weight, norm, options);
  }
}
