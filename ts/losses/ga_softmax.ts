import { BinaryOp } from '../core/binding';
import { isHalf } from '../core/dtype';
import { checkNumber, fail } from '../core/errors';
import { run } from '../core/run';
import { record } from '../core/tape';
import { allocateLike, viewAs } from '../core/tensor';
import type { Tensor } from '../core/tensor';
import { cast } from '../ops';
import { widened } from '../ops/cast';
import { checkLabels, checkResult, checkTensor } from '../ops/check';
import { convGeometry } from '../ops/geometry';
import { angularParams } from '../ops/angular_forward';
import type { AngularOperator } from '../ops/angular_forward';

export interface GaSoftmaxOptions {
  /** g of the logits ‖x‖·g(θ). Default 'cosine'. */
  operator?: AngularOperator;
  /** Curvature of 'sigmoid', a number above 0. Default 0.3. */
  k?: number;
  /** The target's angle counts m times: at least 1, whole or not. Default 1, which is W-Softmax. */
  margin?: number;
  /** Added to sums of squares under the root. Default 1e-4. */
  epsilon?: number;
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
  const { margin = 1 } = options;
  checkTensor(op, 'features', features, { axes: 'ND' });
  const [n, d] = features.shape as [number, number];
  checkTensor(op, 'weight', weight, { axes: 'CD', like: features, as: 'filter' });
  const classes = weight.shape[0] as number;
  checkTensor(op, 'weight', weight, { shape: [classes, d] });
  checkNumber(op, 'margin', margin, 'a number of at least 1', (value) => value >= 1);
  const { params: angular, k } = angularParams(op, options);
  if (k) fail(op, 'k', 'a number', k.describe());
  const cosine = angularParams(op, { epsilon: angular.epsilon }).params;

  checkLabels(op, labels, features, classes);
  if (isHalf(features.dtype)) return gaSoftmax(widened(features), widened(weight), labels, options);
  if (d === 1 && features.dtype === 'float32') {
    // As in sphereConv2d: one number is parallel to another but for ε, and float32 would lose what is left.
    return cast(gaSoftmax(cast(features, 'float64'), cast(weight, 'float64'), labels, options), 'float32');
  }
  // A fully connected layer is a 1×1 convolution to the kernels.
  const x = viewAs(features, [n, 1, 1, d]);
  const w = viewAs(weight, [classes, 1, 1, d]);
  const { params, output: map } = convGeometry(op, x.shape, w.shape, {});
  checkResult(op, [n, classes]);
  const cosines = allocateLike(features, [n, classes]);
  const nx = allocateLike(features, [n]);
  const nw = allocateLike(features, [classes]);
  run('sphereConv2d', params, cosine, x, w, null, viewAs(cosines, map), viewAs(nx, [n, 1, 1, 1]), nw, null);
  const loss = allocateLike(features, []);
  const probabilities = allocateLike(cosines);
  run('angularSoftmax', angular, margin, cosines, nx, labels, loss, probabilities);

  const saved = [x, w, cosines, nx, nw, labels, probabilities];
  return record(op, loss, [features, weight], saved, (dloss, held, needs) => {
    const [xs, ws, c, norms, filterNorms, targets, p] = held as [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]; // prettier-ignore
    const dcosines = allocateLike(c);
    const radial = allocateLike(norms);
    run('angularSoftmaxBackward', angular, margin, c, norms, targets, p, dloss, dcosines, radial);
    const [h, r, q] = [allocateLike(c), allocateLike(norms), allocateLike(filterNorms)];
    const flat = (tensor: Tensor): Tensor => viewAs(tensor, map);
    const perRow = (tensor: Tensor): Tensor => viewAs(tensor, [n, 1, 1, 1]);
    run('sphereConv2dAngularBackward', cosine, flat(c), null, flat(dcosines), null, perRow(norms), filterNorms, flat(h), perRow(r), q, null); // prettier-ignore
    const dx = needs[0] ? allocateLike(xs) : null;
    const dw = needs[1] ? allocateLike(ws) : null;
    if (dx) {
      // The logits' length grows with ‖x‖: that part of the gradient lies along x, where r subtracts.
      run('binary', BinaryOp.Sub, r, radial, r);
      run('sphereConv2dDataGradient', params, flat(h), ws, xs, perRow(r), dx);
    }
    if (dw) run('sphereConv2dWeightGradient', params, xs, flat(h), ws, q, filterNorms, dw);
    return [dx && viewAs(dx, [n, d]), dw && viewAs(dw, [classes, d])];
  });
}
