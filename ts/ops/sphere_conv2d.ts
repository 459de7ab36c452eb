import { run } from '../core/run';
import { record } from '../core/tape';
import type { Tensor } from '../core/tensor';
import {
  allocateAngularGradient,
  angularForward,
  angularProducts,
  keptBy,
  needsFloat64,
  restored,
} from './angular_forward';
import type { AngularOptions } from './angular_forward';
import { cast } from './cast';
import { checkTensor } from './check';
import type { ConvOptions } from './geometry';
import { reshape } from './reshape';

/**
 * SphereConv (Deep Hyperspherical Learning, section 2.1): g(θ) of the angle θ between each kernel w and patch x.
 *
 * With c = ⟨x,w⟩ / (√(Σx² + ε) √(Σw² + ε)): 'cosine' g = c; 'linear' g = (2/π) asin c = 1 − 2θ/π; 'sigmoid'
 * g = tanh(asin(c) / 2k) / tanh(π / 4k); 'squaredCosine' g = sign(c) c². Zero padding enters as zeros. The output lies
 * in [−1, 1].
 *
 * d asin/dc grows without bound at c = ±1; it is cut off where 1 − c² < 1e-6. Gradients are finite for every finite
 * input, zero patches and parallel vectors included.
 *
 * @param input [N,H,W,C]
 * @param weight [O,KH,KW,C/groups], of the input's dtype; float32 too beside 16 bits, and rounded to them for the products
 * @returns [N,OH,OW,O]
 */
export function sphereConv2d(
  input: Tensor,
  weight: Tensor,
  options: AngularOptions & ConvOptions = {},
): Tensor {
  checkTensor('sphereConv2d', 'input', input, { axes: 'NHWC' });
  checkTensor('sphereConv2d', 'weight', weight, { axes: 'OHWI', like: input, as: 'filter' });
  return angularConvolution('sphereConv2d', input, weight, options);
}

/** {@link sphereConv2d} of checked tensors, on behalf of `op`. */
function angularConvolution(
  op: string,
  input: Tensor,
  weight: Tensor,
  options: AngularOptions & ConvOptions,
): Tensor {
  if (needsFloat64(input, weight)) return inFloat64(op, input, weight, options);
  const { recipe, forward } = angularForward(op, input, weight, options);
  const { y, k } = forward;
  return record(op, y, [input, weight, ...(k ? [k] : [])], keptBy(forward), (dy, saved, needs) => {
    const { forward: f } = restored(recipe, saved);
    const gradient = allocateAngularGradient(f, needs[2] === true);
    const { h, r, q, dk } = gradient;
    run('sphereConv2dAngularBackward', recipe.angular, f.y, f.c, dy, f.k, f.nx, f.nw, h, r, q, dk);
    return [...angularProducts(recipe, f, gradient, needs), dk];
  });
}

function inFloat64(op: string, input: Tensor, weight: Tensor, options: AngularOptions & ConvOptions): Tensor {
  const { k } = options;
  const curvature = typeof k === 'object' ? { k: cast(k, 'float64') } : {};
  const [x, w] = [cast(input, 'float64'), cast(weight, 'float64')];
  return cast(angularConvolution(op, x, w, { ...options, ...curvature }), input.dtype);
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
  checkTensor('sphereLinear', 'weight', weight, { axes: 'OD', like: input, as: 'filter' });
  const o = weight.shape[0] as number;
  checkTensor('sphereLinear', 'weight', weight, { shape: [o, d] });
  const { operator, k, epsilon } = options;
  const [rows, filters] = [reshape(input, [n, 1, 1, d]), reshape(weight, [o, 1, 1, d])];
  return reshape(angularConvolution('sphereLinear', rows, filters, { operator, k, epsilon }), [n, o]);
}
