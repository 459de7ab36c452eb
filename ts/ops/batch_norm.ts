import { checkNumber, fail } from '../core/errors';
import { run } from '../core/run';
import { record } from '../core/tape';
import { allocateLike } from '../core/tensor';
import type { Tensor } from '../core/tensor';
import { checkTensor } from './check';

export interface BatchNormOptions {
  /** Normalise by the batch and move the running statistics (true) or normalise by those (false). Default true. */
  training?: boolean;
  /** How far the running statistics move towards the batch's, PyTorch's meaning. Default 0.1. */
  momentum?: number;
  /** Added to the variance. Default 1e-5. */
  epsilon?: number;
}

/**
 * Batch normalisation (Ioffe and Szegedy 2015) over all axes but the last:
 * y = gamma · (x − mean) / √(variance + epsilon) + beta.
 *
 * @param x [..., C] of at least 2 axes
 * @param gamma [C], and so are beta, runningMean and runningVariance. The running statistics are overwritten in place
 *   in training: variance biased in y, unbiased in the running one.
 */
export function batchNorm(
  x: Tensor,
  gamma: Tensor,
  beta: Tensor,
  runningMean: Tensor,
  runningVariance: Tensor,
  options: BatchNormOptions = {},
): Tensor {
  const { training = true, momentum = 0.1, epsilon = 1e-5 } = options;
  checkTensor('batchNorm', 'x', x);
  if (x.rank < 2) fail('batchNorm', 'x', 'of at least 2 axes', x.describe());
  const perChannel = { shape: x.shape.slice(-1), like: x };
  checkTensor('batchNorm', 'gamma', gamma, perChannel);
  checkTensor('batchNorm', 'beta', beta, perChannel);
  checkTensor('batchNorm', 'runningMean', runningMean, perChannel);
  checkTensor('batchNorm', 'runningVariance', runningVariance, perChannel);
  checkNumber('batchNorm', 'momentum', momentum, 'from 0 to 1', (value) => value >= 0 && value <= 1);
  checkNumber('batchNorm', 'epsilon', epsilon, 'a number above 0', (value) => value > 0);
  if (!training) return inference(x, gamma, beta, runningMean, runningVariance, epsilon);

  const y = allocateLike(x);
  const mean = allocateLike(gamma);
  const invStd = allocateLike(gamma);
  run('batchNorm', momentum, epsilon, x, gamma, beta, runningMean, runningVariance, y, mean, invStd);
  runningMean.handle.markWritten();
  runningVariance.handle.markWritten();
  return record('batchNorm', y, [x, gamma, beta], [x, gamma, mean, invStd], (dy, [input, g, m, s]) => {
    const [dx, dgamma, dbeta] = [allocateLike(dy), allocateLike(g as Tensor), allocateLike(g as Tensor)];
    run('batchNormBackward', input as Tensor, g as Tensor, m as Tensor, s as Tensor, dy, dx, dgamma, dbeta);
    return [dx, dgamma, dbeta];
  });
}

function inference(
  x: Tensor,
  gamma: Tensor,
  beta: Tensor,
  mean: Tensor,
  variance: Tensor,
  epsilon: number,
): Tensor {
  const y = allocateLike(x);
  run('batchNormInference', epsilon, x, gamma, beta, mean, variance, y);
  return record('batchNorm', y, [x, gamma, beta], [x, gamma, mean, variance], (dy, [input, g, m, v]) => {
    const [dx, dgamma, dbeta] = [allocateLike(dy), allocateLike(g as Tensor), allocateLike(g as Tensor)];
    run('batchNormInferenceBackward', epsilon, input as Tensor, g as Tensor, m as Tensor, v as Tensor, dy, dx, dgamma, dbeta); // prettier-ignore
    return [dx, dgamma, dbeta];
  });
}
