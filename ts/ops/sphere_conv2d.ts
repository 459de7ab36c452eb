import { checkNumber, checkOneOf, describe, fail } from '../core/errors';
import { run } from '../core/run';
import { record } from '../core/tape';
import { allocateLike, Tensor } from '../core/tensor';
import { cast } from './cast';
import { checkResult, checkTensor } from './check';
import { convGeometry } from './geometry';
import type { ConvOptions } from './geometry';
import { reshape } from './reshape';

/** How a SphereConv turns the angle θ between kernel and patch into its output; see {@link sphereConv2d}. */
export type AngularOperator = 'cosine' | 'linear' | 'sigmoid';

export const ANGULAR_OPERATORS: readonly AngularOperator[] = ['cosine', 'linear', 'sigmoid'];

export interface AngularOptions {
  /** Default 'cosine'. */
  operator?: AngularOperator | undefined;
  /** Curvature of 'sigmoid', above 0: a number, or a tensor [O] or [1] that gets a gradient. Default 0.3. */
  k?: number | Tensor | undefined;
  /** Added to sums of squares under the root. Default 1e-4, as the authors' code has it. */
  epsilon?: number | undefined;
}

/** AngularOperator::Cosine of native/ops.h. */
const COSINE = 0;

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
export function sphereConv2d(
  input: Tensor,
  weight: Tensor,
  options: AngularOptions & ConvOptions = {},
): Tensor {
  checkTensor('sphereConv2d', 'input', input, { axes: 'NHWC' });
  checkTensor('sphereConv2d', 'weight', weight, { axes: 'OHWI', like: input });
  return angularConvolution('sphereConv2d', input, weight, options);
}

/** {@link sphereConv2d} of checked tensors, on behalf of `op`. */
function angularConvolution(
  op: string,
  input: Tensor,
  weight: Tensor,
  options: AngularOptions & ConvOptions,
): Tensor {
  const { params: angular, k } = angularParams(op, options);
  const { params, output } = convGeometry(op, input.shape, weight.shape, options);
  const [n, oh, ow, filters] = output as [number, number, number, number];
  if (k) {
    checkTensor(op, 'k', k, { axes: 'O', like: input });
    if (k.size !== 1 && k.size !== filters) fail(op, 'k', `of shape [${filters}] or [1]`, k.describe());
  }
  checkResult(op, output);
  if (input.dtype === 'float32' && weight.size === filters) return inFloat64(op, input, weight, k, options);
  const y = allocateLike(input, output);
  const nx = allocateLike(input, [n, oh, ow, params.groups]);
  const nw = allocateLike(input, [filters]);
  // float32 recovers c from y in the backward pass, so that nothing but the map of patch norms is kept besides x, w
  // and y. float64, made for gradient checks, keeps c: where g saturates, y tells too little.
  const c = input.dtype === 'float64' && angular.operator !== COSINE ? allocateLike(y) : null;
  run('sphereConv2d', params, angular, input, weight, k, y, nx, nw, c);

  const curvature = k ? [k] : [];
  const kept = [input, weight, y, nx, nw, ...(c ? [c] : []), ...curvature];
  const [keptC, learnsK] = [c !== null, k !== null];
  return record(op, y, [input, weight, ...curvature], kept, (dy, saved, needs) => {
    const [x, w, output, patchNorms, filterNorms, ...rest] = saved as [Tensor, Tensor, Tensor, Tensor, Tensor, ...Tensor[]]; // prettier-ignore
    const cosines = keptC ? (rest[0] as Tensor) : null;
    const curvatures = learnsK ? (rest.at(-1) as Tensor) : null;
    const h = allocateLike(output);
    const r = allocateLike(patchNorms);
    const q = allocateLike(filterNorms);
    const dk = curvatures && needs[2] ? allocateLike(curvatures) : null;
    run(
      'sphereConv2dAngularBackward',
      angular,
      output,
      cosines,
      dy,
      curvatures,
      patchNorms,
      filterNorms,
      h,
      r,
      q,
      dk,
    );
    const dx = needs[0] ? allocateLike(x) : null;
    const dw = needs[1] ? allocateLike(w) : null;
    if (dx) run('sphereConv2dDataGradient', params, h, w, x, r, dx);
    if (dw) run('sphereConv2dWeightGradient', params, x, h, w, q, filterNorms, dw);
    return [dx, dw, dk];
  });
}

/**
 * A patch of one number is parallel to its kernel but for ε: the gradient is what is left of a difference of nearly
 * equal numbers, which float32 would lose.
 */
function inFloat64(
  op: string,
  input: Tensor,
  weight: Tensor,
  k: Tensor | null,
  options: AngularOptions & ConvOptions,
): Tensor {
  const curvature = k && { k: cast(k, 'float64') };
  const [x, w] = [cast(input, 'float64'), cast(weight, 'float64')];
  return cast(angularConvolution(op, x, w, { ...options, ...curvature }), 'float32');
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
  const [rows, filters] = [reshape(input, [n, 1, 1, d]), reshape(weight, [o, 1, 1, d])];
  return reshape(angularConvolution('sphereLinear', rows, filters, { operator, k, epsilon }), [n, o]);
}
