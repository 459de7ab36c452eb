// What all softmax losses over angles share: checks, the cosines, and the gradient products.
import { BinaryOp } from '../core/binding';
import { isHalf } from '../core/dtype';
import { checkNumber } from '../core/errors';
import { run } from '../core/run';
import { record } from '../core/tape';
import { allocateLike, viewAs } from '../core/tensor';
import type { Tensor } from '../core/tensor';
import { cast, scale, sqrt, square, sum } from '../ops';
import { angularParams } from '../ops/angular_options';
import type { AngularParams } from '../ops/angular_options';
import { widened } from '../ops/cast';
import { checkLabels, checkResult, checkTensor } from '../ops/check';
import { convGeometry } from '../ops/geometry';

/** MarginParams of native/ops.h. */
export interface MarginParams {
  kind: number;
  margin: number;
  lambda: number;
  scale: number;
  smoothing: number;
  detached: boolean;
}

/** Checks a label smoothing on behalf of `op`. */
export function checkSmoothing(op: string, value: unknown): asserts value is number {
  checkNumber(op, 'labelSmoothing', value, 'a number in [0, 1)', (share) => share >= 0 && share < 1);
}

/** √(Σx² + ε) of each row, [N, 1]. */
export function lengths(x: Tensor, epsilon: number): Tensor {
  return sqrt(scale(sum(square(x), { axes: 1, keepDims: true }), 1, epsilon));
}

/**
 * The mean over the batch of the cross-entropy of logits s·g(θ_j), with a margin; native/ops.h has the formulas.
 *
 * @param features [N,D]; computed with as float32 where they have 16 bits, and so is the loss
 * @param weight [C,D] of the features' dtype, or float32 beside 16 bits
 * @param labels int32 [N], from 0 to C − 1
 */
export function angularSoftmax(
  op: string,
  features: Tensor,
  weight: Tensor,
  labels: Tensor,
  angular: AngularParams,
  margin: MarginParams,
): Tensor {
  checkTensor(op, 'features', features, { axes: 'ND' });
  const [n, d] = features.shape as [number, number];
  checkTensor(op, 'weight', weight, { axes: 'CD', like: features, as: 'filter' });
  const classes = weight.shape[0] as number;
  checkTensor(op, 'weight', weight, { shape: [classes, d] });
  checkLabels(op, labels, features, classes);
  if (isHalf(features.dtype)) {
    return angularSoftmax(op, widened(features), widened(weight), labels, angular, margin);
  }
  if (d === 1 && features.dtype === 'float32') {
    // As in sphereConv2d: one number is parallel to another but for ε, and float32 would lose what is left.
    const [x, w] = [cast(features, 'float64'), cast(weight, 'float64')];
    return cast(angularSoftmax(op, x, w, labels, angular, margin), 'float32');
  }
  // A fully connected layer is a 1×1 convolution to the kernels.
  const cosine = angularParams(op, { epsilon: angular.epsilon }).params;
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
