import { checkNumber, fail } from '../core/errors';
import { run } from '../core/run';
import { record } from '../core/tape';
import { allocateLike } from '../core/tensor';
import type { Tensor } from '../core/tensor';
import { checkTensor } from './check';
import { relu } from './relu';

export interface BatchNormOptions {
  /** Normalise by the batch and move the running statistics (true) or normalise by those (false). Default true. */
  training?: boolean | undefined;
  /** How far the running statistics move towards the batch's, PyTorch's meaning. Default 0.1. */
  momentum?: number | undefined;
  /** Added to the variance. Default 1e-5. */
  epsilon?: number | undefined;
  /** max(0, ·) of the result, in the same pass. Default false. */
  relu?: boolean | undefined;
}

/** Scale, shift and running statistics of a batch normalisation, each [C]. */
export interface NormTensors {
  readonly gamma: Tensor;
  readonly beta: Tensor;
  readonly runningMean: Tensor;
  readonly runningVariance: Tensor;
}

/**
 * Batch normalisation (Ioffe and Szegedy 2015) over all axes but the last:
 * y = gamma · (x − mean) / √(variance + epsilon) + beta.
 *
 * @param x [..., C] of at least 2 axes
 * @param gamma [C], of x's dtype, float32 where that has 16 bits; so are beta, runningMean and runningVariance. The
 *   running statistics are overwritten in place in training: variance biased in y, unbiased in the running one.
 */
export function batchNorm(
  x: Tensor,
  gamma: Tensor,
  beta: Tensor,
  runningMean: Tensor,
  runningVariance: Tensor,
  options: BatchNormOptions = {},
): Tensor {
  checkTensor('batchNorm', 'x', x);
  if (x.rank < 2) fail('batchNorm', 'x', 'of at least 2 axes', x.describe());
  const tensors = { gamma, beta, runningMean, runningVariance };
  const {
    momentum,
    epsilon,
    relu: rectified,
  } = checkNorm('batchNorm', x, x.shape.at(-1) as number, tensors, options);
  if (options.training === false) {
    const z = inference(x, tensors, epsilon);
    return rectified ? relu(z) : z;
  }

  const [y, mean, invStd] = [allocateLike(x), allocateLike(gamma), allocateLike(gamma)];
  const forwardOp = rectified ? 'batchNormRelu' : 'batchNorm';
  run(forwardOp, momentum, epsilon, x, gamma, beta, runningMean, runningVariance, y, mean, invStd);
  moveRunningStatistics(tensors);
  return record('batchNorm', y, [x, gamma, beta], [x, gamma, beta, mean, invStd], (dy, saved) => {
    const [input, g, b, m, s] = saved as [Tensor, Tensor, Tensor, Tensor, Tensor];
    const gradients = [allocateLike(dy), allocateLike(g), allocateLike(g)];
    if (rectified) run('batchNormReluBackward', input, g, b, m, s, dy, ...gradients);
    else run('batchNormBackward', input, g, m, s, dy, ...gradients);
    return gradients;
  });
}

/** Checks what a normalisation of x over `channels` channels is given; returns its options with their defaults. */
export function checkNorm(
  op: string,
  x: Tensor,
  channels: number,
  tensors: NormTensors,
  { momentum = 0.1, epsilon = 1e-5, relu: rectified = false }: BatchNormOptions,
): { momentum: number; epsilon: number; relu: boolean } {
  const perChannel = { shape: [channels], like: x, as: 'parameter' } as const;
  for (const name of ['gamma', 'beta', 'runningMean', 'runningVariance'] as const) {
    checkTensor(op, name, tensors[name], perChannel);
  }
  checkNumber(op, 'momentum', momentum, 'from 0 to 1', (value) => value >= 0 && value <= 1);
  checkNumber(op, 'epsilon', epsilon, 'a number above 0', (value) => value > 0);
  return { momentum, epsilon, relu: rectified };
}

/** Tells the tape that the running statistics were overwritten. */
export function moveRunningStatistics({ runningMean, runningVariance }: NormTensors): void {
  runningMean.handle.markWritten();
  runningVariance.handle.markWritten();
}

function inference(x: Tensor, tensors: NormTensors, epsilon: number): Tensor {
  const { gamma, beta, runningMean: mean, runningVariance: variance } = tensors;
  const y = allocateLike(x);
  run('batchNormInference', epsilon, x, gamma, beta, mean, variance, y);
  return record('batchNorm', y, [x, gamma, beta], [x, gamma, mean, variance], (dy, [input, g, m, v]) => {
    const [dx, dgamma, dbeta] = [allocateLike(dy), allocateLike(g as Tensor), allocateLike(g as Tensor)];
    run('batchNormInferenceBackward', epsilon, input as Tensor, g as Tensor, m as Tensor, v as Tensor, dy, dx, dgamma, dbeta); // prettier-ignore
    return [dx, dgamma, dbeta];
  });
}
