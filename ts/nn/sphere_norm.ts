import { full } from '../core/create';
import type { FloatDType } from '../core/dtype';
import { checkInteger, checkNumber, describe, fail } from '../core/errors';
import type { Tensor } from '../core/tensor';
import * as ops from '../ops';
import { rescaled } from '../ops/rescale';
import { AngularLayer } from './angular_layer';
import { Module } from './module';
import { parameter } from './parameter';

export interface SphereNormOptions {
  /** The factor β, and where learning starts from; 1 by default. */
  beta?: number | undefined;
  /** The shift γ, and where learning starts from; 0 by default. */
  gamma?: number | undefined;
  /** One trained β and γ per channel (true, the default), or the given numbers for good. */
  learnable?: boolean | undefined;
  /** Dtype of learnable β and γ; by default that of the SphereConv, or 'float32'. */
  dtype?: FloatDType | undefined;
}

/**
 * Rescaling of a SphereConv to any range: y = β · g(θ) + γ per channel (Liu et al., NIPS 2017).
 *
 * Mind the letters, which are the paper's: here **β multiplies and γ shifts**, the other way round than in batch
 * norm. A SphereConv normalises by itself, without statistics of the batch; β and γ give it back the range that
 * the normalisation takes, so that it can stand in for batch norm or work together with it.
 *
 * ```ts
 * new nn.SphereNorm(new nn.SphereConv2d(3, 64, 3));             // the convolution and its rescaling in one layer
 * new nn.Sequential(new nn.SphereConv2d(3, 64, 3), new nn.SphereNorm(64, { beta: 2, learnable: false }));
 * ```
 *
 * Input `[..., channels]`, or what the SphereConv takes; output `[..., channels]`. Role of β and γ: `norm`.
 */
export class SphereNorm extends Module {
  /** The SphereConv that is rescaled, which may be a fully connected one; null where the layer was made for a number of channels. */
  readonly conv: AngularLayer | null;
  readonly channels: number;
  /** Factor: `[channels]` where it is learnable. */
  readonly beta: Tensor | number;
  /** Shift: `[channels]` where it is learnable. */
  readonly gamma: Tensor | number;

  /** @throws SphereNetError naming the argument that is out of range */
  constructor(target: number | AngularLayer, options: SphereNormOptions = {}) {
    super();
    const conv = target instanceof AngularLayer ? target : null;
    const channels = target instanceof AngularLayer ? target.filters : target;
    const { beta = 1, gamma = 0, learnable = true, dtype = conv?.weight.dtype ?? 'float32' } = options;
    checkInteger('SphereNorm', 'channels', channels, 1);
    checkNumber('SphereNorm', 'beta', beta);
    checkNumber('SphereNorm', 'gamma', gamma);
    this.conv = conv;
    this.channels = channels;
    this.beta = learnable ? parameter(full([channels], beta, { dtype }), 'norm') : beta;
    this.gamma = learnable ? parameter(full([channels], gamma, { dtype }), 'norm') : gamma;
  }

  /** β and γ where they are tensors, else null. @internal */
  get rescaling(): ops.Rescaling | null {
    const { beta, gamma } = this;
    return typeof beta === 'number' || typeof gamma === 'number' ? null : { beta, gamma };
  }

  forward(input: Tensor): Tensor {
    return this.forwardRelu(input, false);
  }

  /** forward(), and a ReLU behind it where `relu`. @internal */
  forwardRelu(input: Tensor, relu: boolean): Tensor {
    const { conv, rescaling } = this;
    if (conv?.isFusible && rescaling) return conv.forwardRescaled(input, rescaling, relu);
    const y = this.rescale(conv ? conv.forward(input) : input);
    return relu ? ops.relu(y) : y;
  }

  private rescale(angular: Tensor): Tensor {
    if (angular.shape.at(-1) !== this.channels) {
      fail(
        'SphereNorm',
        'input',
        `a tensor whose last axis has ${this.channels} channels`,
        describe(angular),
      );
    }
    const { beta, gamma } = this;
    if (typeof beta === 'number' || typeof gamma === 'number') {
      return ops.scale(angular, beta as number, gamma as number);
    }
    return rescaled(angular, { beta, gamma });
  }
}
