import { isRecorded, record } from '../core/tape';
import { Tensor } from '../core/tensor';
import { angularForward, keptBy, needsFloat64, restored } from './angular_forward';
import type { Epilogue } from './angular_forward';
import { angularGradients, NOTHING } from './angular_gradient';
import type { AngularOptions } from './angular_options';
import { cast } from './cast';
import { checkTensor } from './check';
import type { ConvOptions } from './geometry';
import { isDecoupled } from './magnitude';
import { relu as rectified } from './relu';
import { checkRescaling, rescaled } from './rescale';
import type { Rescaling } from './rescale';
import { reshape } from './reshape';

/** Options of a SphereConv, and of what follows it in the same pass over memory. */
export interface SphereConvOptions extends AngularOptions {
  /** SphereNorm: β · g(θ) + γ per channel, see {@link nn.SphereNorm}. */
  rescale?: Rescaling | undefined;
  /** max(0, ·) of the result. Default false. */
  relu?: boolean | undefined;
}

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
  options: SphereConvOptions & ConvOptions = {},
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
  { rescale, relu = false, ...options }: SphereConvOptions & ConvOptions,
): Tensor {
  if (rescale) checkRescaling(op, rescale, input, weight.shape[0] as number);
  if (needsFloat64(input, weight) || isDecoupled(options.operator)) {
    const angles = needsFloat64(input, weight)
      ? inFloat64(op, input, weight, options)
      : recorded(op, input, weight, options, null);
    const z = rescale ? rescaled(angles, rescale) : angles;
    return relu ? rectified(z) : z;
  }
  if (!rescale && !relu) return recorded(op, input, weight, options, null);
  const { beta, gamma } = rescale ?? {};
  const keepsAngles = rescale !== undefined && isRecorded([input, weight, beta, gamma, options.k]);
  // SphereNorm's letters are the other way round than batch norm's, which are those of native/ops.h.
  const scales = rescale && { gamma: rescale.beta, beta: rescale.gamma };
  return recorded(op, input, weight, options, { relu, ...scales, keepsAngles });
}

function recorded(
  op: string,
  input: Tensor,
  weight: Tensor,
  options: AngularOptions & ConvOptions,
  epilogue: Epilogue | null,
): Tensor {
  const { recipe, forward, z } = angularForward(op, input, weight, options, epilogue);
  const { relu = false, gamma = null, beta = null } = epilogue ?? {};
  const { k, magnitude } = forward;
  const perChannel = gamma && beta ? [gamma, beta] : [];
  const learnt = [k, magnitude.radius].filter((tensor) => tensor !== null);
  const inputs = [input, weight, ...perChannel, ...learnt];
  const output = record(op, z, inputs, [...keptBy(forward), ...perChannel], (dz, saved, needs) => {
    const { forward: f, rest } = restored(recipe, saved);
    const [g = null, b = null] = rest;
    const firstLearnt = 2 + rest.length;
    const asked = {
      x: needs[0] === true,
      w: needs[1] === true,
      k: k !== null && needs[firstLearnt] === true,
      radius: needs[firstLearnt + (k ? 1 : 0)] === true,
    };
    const following = { ...NOTHING, relu, gamma: g, beta: b };
    const { dx, dw, dk, dradius, dgamma, dbeta } = angularGradients(recipe, f, following, dz, asked);
    return [dx, dw, ...(g && b ? [dgamma, dbeta] : []), ...(k ? [dk] : []), dradius];
  });
  if (forward.y !== z) forward.y.dispose();
  return output;
}

function inFloat64(op: string, input: Tensor, weight: Tensor, options: AngularOptions & ConvOptions): Tensor {
  const { k, operator } = options;
  const curvature = k instanceof Tensor ? { k: cast(k, 'float64') } : {};
  const decoupled =
    isDecoupled(operator) && operator.radius instanceof Tensor
      ? { operator: { ...operator, radius: cast(operator.radius, 'float64') } }
      : {};
  const [x, w] = [cast(input, 'float64'), cast(weight, 'float64')];
  return cast(recorded(op, x, w, { ...options, ...curvature, ...decoupled }, null), input.dtype);
}

/**
 * A fully connected SphereConv: g of the angle between each row of the input and each row of the weight. The formulas
 * are those of {@link sphereConv2d}.
 *
 * @param input [N,D]
 * @param weight [O,D]
 * @returns [N,O]
 */
export function sphereLinear(input: Tensor, weight: Tensor, options: SphereConvOptions = {}): Tensor {
  checkTensor('sphereLinear', 'input', input, { axes: 'ND' });
  const [n, d] = input.shape as [number, number];
  checkTensor('sphereLinear', 'weight', weight, { axes: 'OD', like: input, as: 'filter' });
  const o = weight.shape[0] as number;
  checkTensor('sphereLinear', 'weight', weight, { shape: [o, d] });
  const { operator, k, epsilon, meanNorm, rescale, relu } = options;
  const angular = { operator, k, epsilon, meanNorm, rescale, relu };
  const [rows, filters] = [reshape(input, [n, 1, 1, d]), reshape(weight, [o, 1, 1, d])];
  return reshape(angularConvolution('sphereLinear', rows, filters, angular), [n, o]);
}
