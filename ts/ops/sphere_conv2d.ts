import { record } from '../core/tape';
import { Tensor } from '../core/tensor';
import {
  angularBackward,
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
import { isDecoupled } from './magnitude';
import { reshape } from './reshape';

/**
 * SphereConv (Deep Hyperspherical Learning, section 2.1): g(θ) of the angle θ between each kernel w and patch x.
 *
 * With c = ⟨x,w⟩ / (√(Σx² + ε) √(Σw² + ε)): 'cosine' g = c; 'linear' g = (2/π) asin c = 1 − 2θ/π; 'sigmoid'
 * g = tanh(asin(c) / 2k) / tanh(π / 4k); 'squaredCosine' g = sign(c) c². Zero padding enters as zeros. The output lies
 * in [−1, 1]. A {@link DecoupledOperator} multiplies g by a function of the patch norm √(Σx² + ε).
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
  const { y, k, magnitude } = forward;
  const learnt = [k, magnitude.radius].filter((tensor) => tensor !== null);
  return record(op, y, [input, weight, ...learnt], keptBy(forward), (dy, saved, needs) => {
    const { forward: f } = restored(recipe, saved);
    const needsRadius = needs[k ? 3 : 2] === true;
    const gradient = angularBackward(recipe, f, dy, { needsK: k !== null && needs[2] === true, needsRadius });
    const { dk, dradius } = gradient;
    return [...angularProducts(recipe, f, gradient, needs), ...(k ? [dk] : []), dradius];
  });
}

function inFloat64(op: string, input: Tensor, weight: Tensor, options: AngularOptions & ConvOptions): Tensor {
  const { k, operator } = options;
  const curvature = k instanceof Tensor ? { k: cast(k, 'float64') } : {};
  const decoupled =
    isDecoupled(operator) && operator.radius instanceof Tensor
      ? { operator: { ...operator, radius: cast(operator.radius, 'float64') } }
      : {};
  const [x, w] = [cast(input, 'float64'), cast(weight, 'float64')];
  return cast(angularConvolution(op, x, w, { ...options, ...curvature, ...decoupled }), input.dtype);
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
  const { operator, k, epsilon, meanNorm } = options;
  const angular = { operator, k, epsilon, meanNorm };
  const [rows, filters] = [reshape(input, [n, 1, 1, d]), reshape(weight, [o, 1, 1, d])];
  return reshape(angularConvolution('sphereLinear', rows, filters, angular), [n, o]);
}
