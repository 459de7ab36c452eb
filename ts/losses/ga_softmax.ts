import { MarginKind } from '../core/binding';
import { checkNumber, checkOneOf } from '../core/errors';
import type { Tensor } from '../core/tensor';
import { MARGIN_FUNCTIONS } from '../ops/angular_functions';
import type { MarginFunction } from '../ops/angular_functions';
import { angularParams } from '../ops/angular_options';
import { angularSoftmax, checkSmoothing } from './angular_softmax';

export interface GaSoftmaxOptions {
  /** g of the logits ‖x‖·g(θ). Default 'cosine'. */
  operator?: MarginFunction | undefined;
  /** Curvature of 'sigmoid', a number above 0. Default 0.3. */
  k?: number | undefined;
  /** The target's angle counts m times: at least 1, whole or not. Default 1, which is W-Softmax. */
  margin?: number | undefined;
  /**
   * Annealing: the target's logit is ‖x‖·(λ g(θ) + ψ(θ)) / (1 + λ), so that a large λ takes the margin away (the
   * authors' SphereFace code). At least 0. Default 0, the margin in full.
   */
  lambda?: number | undefined;
  /** Share of the target that is spread evenly over all classes, in [0, 1). Default 0. */
  labelSmoothing?: number | undefined;
  /** Added to sums of squares under the root. Default 1e-4. */
  epsilon?: number | undefined;
}

/**
 * Generalised angular softmax (Deep Hyperspherical Learning, section 3): the mean over the batch of
 * −log( e^{‖x‖ψ(θ_y)} / (e^{‖x‖ψ(θ_y)} + Σ_{j≠y} e^{‖x‖g(θ_j)}) ), θ_j the angle between features and class weight j.
 *
 * ψ(θ) is g(mθ), made monotone for 'cosine' as in A-Softmax: (−1)^j cos(mθ) − 2j on [jπ/m, (j+1)π/m]. 'linear':
 * 1 − 2mθ/π. 'sigmoid': tanh((π/2 − mθ)/2k) / tanh(π/4k).
 *
 * @param features [N,D]; computed with as float32 where they have 16 bits, and so is the loss
 * @param weight [C,D], any length: only directions count; of the features' dtype, or float32 beside 16 bits
 * @param labels int32 [N], from 0 to C − 1
 * @returns a scalar
 */
export function gaSoftmax(
  features: Tensor,
  weight: Tensor,
  labels: Tensor,
  options: GaSoftmaxOptions = {},
): Tensor {
  const op = 'gaSoftmax';
  const { operator = 'cosine', k = 0.3, margin = 1, lambda = 0, labelSmoothing = 0 } = options;
  checkOneOf(op, 'operator', operator, MARGIN_FUNCTIONS);
  checkNumber(op, 'k', k, 'a number above 0', (value) => value > 0);
  checkNumber(op, 'margin', margin, 'a number of at least 1', (value) => value >= 1);
  checkNumber(op, 'lambda', lambda, 'a number of at least 0', (value) => value >= 0);
  checkSmoothing(op, labelSmoothing);
  const { params: angular } = angularParams(op, { operator, k, epsilon: options.epsilon });
  return angularSoftmax(op, features, weight, labels, angular, {
    ...{ kind: MarginKind.Multiple, margin, lambda },
    ...{ scale: 0, smoothing: labelSmoothing, detached: false },
  });
}
