import { checkNumber, checkOneOf, describe, fail } from '../core/errors';
import { run } from '../core/run';
import { record } from '../core/tape';
import { allocateLike, Tensor } from '../core/tensor';
import { checkResult, checkTensor } from './check';
import { convGeometry } from './geometry';
import type { ConvOptions } from './geometry';
import { reshape } from './reshape';

/** How a SphereConv turns the angle θ between kernel and patch into its output; see {@link sphereConv2d}. */
export type AngularOperator = 'cosine' | 'linear' | 'sigmoid';

export const ANGULAR_OPERATORS: readonly AngularOperator[] = ['cosine', 'linear', 'sigmoid'];

export interface AngularOptions {
  /** Default 'cosine'. */
  operator?: AngularOperator;
  /** Curvature of 'sigmoid', above 0: a number, or a tensor [O] or [1] that gets a gradient. Default 0.3. */
  k?: number | Tensor;
  /** Added to sums of squares under the root. Default 1e-4, as the authors' code has it. */
  epsilon?: number;
}

/** AngularParams of native/ops.h, and the tensor of curvatures where there is one. */
export function angularParams(
  op: string,
  options: AngularOptions,
): { params: { operator: number; k: number; epsilon: number }; k: Tensor | null } {
  const { operator = 'cosine', k = 0.3, epsilon = 1e-4 } = options;
  checkOneOf(op, 'operator', operator, ANGULAR_OPERATORS);
  checkNumber(op, 'epsilon', epsilon, 'a number above 0', (value) => value > 0);
  if (!(k instanceof Tensor)) checkNumber(op, 'k', k, 'a number above 0 or a tensor', (value) => value > 0);
  if (k instanceof Tensor && operator !== 'sigmoid') {
    fail(op, 'k', `left out, because operator '${operator}' has no curvature`, describe(k));
  }
  const params = { operator: ANGULAR_OPERATORS.indexOf(operator), k: k instanceof Tensor ? 0 : k, epsilon };
  return { params, k: k instanceof Tensor ? k : null };
}

/**
 * SphereConv (Deep Hyperspherical Learning, section 2.1): g(θ) of the angle θ between each kernel w and patch x.
 *
 * With c = ⟨x,w⟩ / (√(Σx² + ε) √(Σw² + ε)): 'cosine' g = c; 'linear' g = (2/π) asin c = 1 − 2θ/π; 'sigmoid'
 * g = tanh(asin(c) / 2k) / tanh(π / 4k). Zero padding enters as zeros. The output lies in [−1, 1].
 *
 * d asin/dc grows without bound at c = ±1; it is cut off where 1 − c² < 1e-6. Gradients are finite for every finite
 * input, zero patches and parallel vectors included.
 *
 * @param input [N,H,W,C]
 * @param weight [O,KH,KW,C/groups]
 * @returns [N,OH,OW,O]
 */
export function sphereConv2d(input: Tensor, weight: Tensor, options: AngularOptions & ConvOptions = {}): Tensor {
  const op = 'sphereConv2d';
  checkTensor(op, 'input', input, { axes: 'NHWC' });
  checkTensor(op, 'weight', weight, { axes: 'OHWI', like: input });
  const { params: angular, k } = angularParams(op, options);
  const { params, output } = convGeometry(op, input.shape, weight.shape, options);
  const [n, oh, ow, filters] = output as [number, number, number, number];
  if (k) {
    checkTensor(op, 'k', k, { axes: 'O', like: input });
    if (k.size !== 1 && k.size !== filters) fail(op, 'k', `of shape [${filters}] or [1]`, k.describe());
  }
  checkResult(op, output);
  const y = allocateLike(input, output);
  const nx = allocateLike(input, [n, oh, ow, params.groups]);
  const nw = allocateLike(input, [filters]);
  run('sphereConv2d', params, angular, input, weight, k, y, nx, nw);

  const curvature = k ? [k] : [];
  // c is recovered from y in the backward pass, so that nothing but the map of patch norms is kept besides x, w and y.
  return record(op, y, [input, weight, ...curvature], [input, weight, y, nx, nw, ...curvature], (dy, saved, needs) => {
    const [x, w, output, patchNorms, filterNorms, curvatures = null] = saved as [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor?]; // prettier-ignore
    const h = allocateLike(output);
    const r = allocateLike(patchNorms);
    const q = allocateLike(filterNorms);
    const dk = curvatures && needs[2] ? allocateLike(curvatures) : null;
    run('sphereConv2dAngularBackward', angular, output, dy, curvatures, patchNorms, filterNorms, h, r, q, dk);
    const dx = needs[0] ? allocateLike(x) : null;
    const dw = needs[1] ? allocateLike(w) : null;
    if (dx) run('sphereConv2dDataGradient', params, h, w, x, r, dx);
    if (dw) run('sphereConv2dWeightGradient', params, x, h, w, q, filterNorms, dw);
    return [dx, dw, dk];
  });
}

/**
 * A fully connected SphereConv: g of the angle between each row of the input and each row of the weight. The formulas
 * are those of {@link sphereConv2d}.
 *
 * @param input [N,D]
 * @param weight [O,D]
 * @returns [N,O]
 */
export function sphereLinear(input: Tensor, weight: Tensor, options: AngularOptions = {}): Tensor {
  checkTensor('sphereLinear', 'input', input, { axes: 'ND' });
  const [n, d] = input.shape as [number, number];
  checkTensor('sphereLinear', 'weight', weight, { axes: 'OD', like: input });
  const o = weight.shape[0] as number;
  checkTensor('sphereLinear', 'weight', weight, { shape: [o, d] });
  const { operator, k, epsilon } = options;
  const angular = { ...(operator && { operator }), ...(k !== undefined && { k }), ...(epsilon !== undefined && { epsilon }) };
  return reshape(sphereConv2d(reshape(input, [n, 1, 1, d]), reshape(weight, [o, 1, 1, d]), angular), [n, o]);
}
