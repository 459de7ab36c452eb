import { ones, zeros } from '../core/create';
import type { FloatDType } from '../core/dtype';
import { checkInteger, checkNumber, describe, fail } from '../core/errors';
import type { Tensor } from '../core/tensor';
import * as ops from '../ops';
import { Module } from './module';
import { buffer, parameter } from './parameter';

export interface BatchNorm2dOptions {
  /**
   * PyTorch's meaning of momentum: how far the running statistics move towards those of a batch, in [0, 1]; 0.1 by
   * default. running = (1 − momentum) · running + momentum · batch.
   */
  momentum?: number | undefined;
  /**
   * What TensorFlow and Keras call momentum or decay: how much of the running statistics stays, in [0, 1]. Instead of
   * `momentum`, of which it is the rest: running = decay · running + (1 − decay) · batch. The SphereNet authors have 0.999,
   * with an epsilon of 1e-3.
   */
  decay?: number | undefined;
  /** Added to the variance; 1e-5 by default. */
  epsilon?: number | undefined;
  /** Default 'float32'. */
  dtype?: FloatDType | undefined;
}

/**
 * Batch normalisation (Ioffe & Szegedy 2015) per channel: gamma · (x − mean) / sqrt(variance + epsilon) + beta.
 * In training with the statistics of the batch, which also move the running ones; in inference with those.
 *
 * Input and output `[N, H, W, channels]` or `[N, channels]`; gamma, beta, runningMean and runningVariance are
 * `[channels]`. Role of gamma and beta: `norm`.
 */
export class BatchNorm2d extends Module {
  readonly gamma: Tensor;
  readonly beta: Tensor;
  readonly runningMean: Tensor;
  readonly runningVariance: Tensor;
  readonly channels: number;
  /** How far the running statistics move at the next step; may be changed between steps. */
  momentum: number;
  /** Added to the variance; may be changed between steps. */
  epsilon: number;

  /** @throws SphereNetError naming the argument that is out of range */
  constructor(channels: number, options: BatchNorm2dOptions = {}) {
    super();
    const { decay, epsilon = 1e-5, dtype = 'float32' } = options;
    checkInteger('BatchNorm2d', 'channels', channels, 1);
    if (decay !== undefined) {
      if (options.momentum !== undefined) {
        fail('BatchNorm2d', 'decay', 'left out where momentum is given', describe(decay));
      }
      checkNumber('BatchNorm2d', 'decay', decay, 'a number from 0 to 1', (value) => value >= 0 && value <= 1);
    }
    const momentum = options.momentum ?? (decay === undefined ? 0.1 : 1 - decay);
    checkNumber(
      'BatchNorm2d',
      'momentum',
      momentum,
      'a number from 0 to 1',
      (value) => value >= 0 && value <= 1,
    );
    checkNumber('BatchNorm2d', 'epsilon', epsilon, 'a number above 0', (value) => value > 0);
    this.channels = channels;
    this.momentum = momentum;
    this.epsilon = epsilon;
    this.gamma = parameter(ones([channels], { dtype }), 'norm');
    this.beta = parameter(zeros([channels], { dtype }), 'norm');
    this.runningMean = buffer(zeros([channels], { dtype }));
    this.runningVariance = buffer(ones([channels], { dtype }));
  }

  forward(input: Tensor): Tensor {
    return this.forwardRelu(input, false);
  }

  /** forward(), and a ReLU behind it where `relu`. @internal */
  forwardRelu(input: Tensor, relu: boolean): Tensor {
    const { gamma, beta, runningMean, runningVariance, training, momentum, epsilon } = this;
    const options = { training, momentum, epsilon, relu };
    return ops.batchNorm(input, gamma, beta, runningMean, runningVariance, options);
  }
}
