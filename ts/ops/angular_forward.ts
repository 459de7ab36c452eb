// What sphereConv2d and sphereConv2dNorm share: the forward pass and what it keeps.
import { parameterDType } from '../core/dtype';
import { checkNumber, checkOneOf, describe, fail } from '../core/errors';
import { run } from '../core/run';
import { allocate, allocateLike, Tensor } from '../core/tensor';
import { checkResult, checkTensor } from './check';
import { convGeometry } from './geometry';
import type { ConvOptions, ConvParams } from './geometry';
import { applyMagnitude, checkMagnitude, isDecoupled, MAGNITUDE_FUNCTIONS, NO_MAGNITUDE } from './magnitude';
import type { DecoupledOperator, MagnitudeRecipe, MagnitudeTensors, MeanNorm } from './magnitude';

/** g: how a SphereConv turns the angle θ between kernel and patch into its output; see {@link sphereConv2d}. */
export type AngularFunction = 'cosine' | 'linear' | 'sigmoid' | 'squaredCosine';

/** In the order of AngularOperator in native/ops.h. */
export const ANGULAR_FUNCTIONS: readonly AngularFunction[] = ['cosine', 'linear', 'sigmoid', 'squaredCosine'];

/** Those of the paper, which have a margin: what the losses take. */
export type MarginFunction = Exclude<AngularFunction, 'squaredCosine'>;

export const MARGIN_FUNCTIONS: readonly MarginFunction[] = ['cosine', 'linear', 'sigmoid'];

/** What a SphereConv computes of each kernel and patch: g(θ), or h(‖x‖)·g(θ) where it is decoupled. */
export type AngularOperator<R = number | Tensor> = AngularFunction | DecoupledOperator<R>;

export interface AngularOptions {
  /** Default 'cosine'. */
  operator?: AngularOperator | undefined;
  /**
   * Curvature of g 'sigmoid', above 0: a number, or a tensor [O] or [1] that gets a gradient, float32 beside 16 bits.
   * Default 0.3.
   */
  k?: number | Tensor | undefined;
  /** Added to sums of squares under the root. Default 1e-4, as the authors' code has it. */
  epsilon?: number | undefined;
  /** Unit of a decoupled operator's radius, and of its default. Default 1: the radius is a norm. */
  meanNorm?: MeanNorm | undefined;
}

/** AngularOperator::Cosine of native/ops.h. */
const COSINE = 0;

/** AngularParams of native/ops.h. */
export interface AngularParams {
  operator: number;
  k: number;
  epsilon: number;
}

/** The native parameters, and the tensor of curvatures where there is one. `functions`: what `op` can compute. */
export function angularParams(
  op: string,
  { operator = 'cosine', k = 0.3, epsilon = 1e-4 }: AngularOptions,
  functions: readonly AngularFunction[] = MARGIN_FUNCTIONS,
): { params: AngularParams; k: Tensor | null } {
  checkOneOf(op, 'operator', operator, functions);
  checkNumber(op, 'epsilon', epsilon, 'a number above 0', (value) => value > 0);
  if (!(k instanceof Tensor)) checkNumber(op, 'k', k, 'a number above 0 or a tensor', (value) => value > 0);
  if (k instanceof Tensor && operator !== 'sigmoid') {
    fail(op, 'k', `left out, because operator '${operator}' has no curvature`, describe(k));
  }
  const params = { operator: ANGULAR_FUNCTIONS.indexOf(operator), k: k instanceof Tensor ? 0 : k, epsilon };
  return { params, k: k instanceof Tensor ? k : null };
}

/** g of an operator, on behalf of `owner`; its magnitude is not looked at. `besides`: what else an error names. */
export function angularFunctionOf(owner: string, operator: unknown, besides = ''): AngularFunction {
  if (isDecoupled(operator)) {
    const { angular = 'cosine' } = operator;
    checkOneOf(owner, 'operator.angular', angular, ANGULAR_FUNCTIONS);
    return angular;
  }
  if (!ANGULAR_FUNCTIONS.includes(operator as AngularFunction)) {
    const list = (names: readonly string[], separator: string): string =>
      names.map((name) => `'${name}'`).join(separator);
    const expected = `one of ${list(ANGULAR_FUNCTIONS, ', ')} or { magnitude: ${list(MAGNITUDE_FUNCTIONS, ' | ')} }${besides}`;
    fail(owner, 'operator', expected, describe(operator));
  }
  return operator as AngularFunction;
}

/** What follows the angles in the pass that computes them, of a SphereConv without magnitude; see native/ops.h. */
export interface Epilogue {
  readonly relu: boolean;
  /** Factor and shift of each channel. */
  readonly gamma?: Tensor;
  readonly beta?: Tensor;
  /** What is subtracted, and what divided by, before that. */
  readonly statistics?: { readonly mean: Tensor; readonly variance: Tensor; readonly epsilon: number };
  /** Whether the gradient will need the angles besides the result. */
  readonly keepsAngles: boolean;
}

/** What a SphereConv computes, without any tensor. */
export interface AngularRecipe {
  readonly params: ConvParams;
  readonly angular: AngularParams;
  readonly keepsCosines: boolean;
  readonly learnsK: boolean;
  /** Of a decoupled operator. */
  readonly magnitude: MagnitudeRecipe | null;
}

/** The tensors of its forward pass, as the gradient needs them. */
export interface AngularForward {
  readonly input: Tensor;
  readonly weight: Tensor;
  /** Learnable curvatures, or null. */
  readonly k: Tensor | null;
  /** h(‖x‖)·g(θ), or g(θ) where there is no magnitude. */
  readonly y: Tensor;
  /** Norms of the patches [N,OH,OW,groups] and of the filters [O]. */
  readonly nx: Tensor;
  readonly nw: Tensor;
  /** Cosines, in float64 only. */
  readonly c: Tensor | null;
  readonly magnitude: MagnitudeTensors;
}

/** y of checked tensors, on behalf of `op`; and z, which the epilogue makes of it, or y where there is none. */
export function angularForward(
  op: string,
  input: Tensor,
  weight: Tensor,
  options: AngularOptions & ConvOptions,
  epilogue: Epilogue | null = null,
): { recipe: AngularRecipe; forward: AngularForward; z: Tensor } {
  const { operator = 'cosine', meanNorm } = options;
  const g = angularFunctionOf(op, operator);
  const own = { operator: g, k: options.k, epsilon: options.epsilon };
  const { params: angular, k } = angularParams(op, own, ANGULAR_FUNCTIONS);
  const { params, output } = convGeometry(op, input.shape, weight.shape, options);
  const [n, oh, ow, filters] = output as [number, number, number, number];
  if (k) {
    checkTensor(op, 'k', k, { axes: 'O', like: input, as: 'parameter' });
    if (k.size !== 1 && k.size !== filters) fail(op, 'k', `of shape [${filters}] or [1]`, k.describe());
  }
  const decoupled = isDecoupled(operator) ? operator : null;
  if (meanNorm && !decoupled) {
    fail(op, 'meanNorm', `left out, because operator '${g}' has no radius`, describe(meanNorm));
  }
  const magnitude = decoupled && checkMagnitude(op, decoupled, meanNorm, input, filters);
  checkResult(op, output);
  const y = allocateLike(input, output);
  const norms = parameterDType(input.dtype);
  const nx = allocate([n, oh, ow, params.groups], norms, input.device);
  const nw = allocate([filters], norms, input.device);
  // float32 recovers c from y in the backward pass, so that nothing but the map of patch norms is kept besides x, w
  // and y. float64, made for gradient checks, keeps c: where g saturates, y tells too little.
  const c = input.dtype === 'float64' && angular.operator !== COSINE ? allocateLike(y) : null;
  const recipe = { params, angular, keepsCosines: c !== null, learnsK: k !== null, magnitude };
  if (epilogue) {
    const { relu, gamma = null, beta = null, statistics, keepsAngles } = epilogue;
    const { mean = null, variance = null, epsilon = 0 } = statistics ?? {};
    const [angles, z] = keepsAngles ? [y, allocateLike(y)] : [null, y];
    run('sphereConv2dRescaled', params, angular, relu, epsilon, input, weight, k, gamma, beta, mean, variance, angles, nx, nw, c, z); // prettier-ignore
    return { recipe, forward: { input, weight, k, y, nx, nw, c, magnitude: NO_MAGNITUDE }, z };
  }
  run('sphereConv2d', params, angular, input, weight, k, y, nx, nw, c);
  const tensors = magnitude ? applyMagnitude(magnitude, decoupled?.radius, meanNorm, nx, y) : NO_MAGNITUDE;
  return { recipe, forward: { input, weight, k, y, nx, nw, c, magnitude: tensors }, z: y };
}

/** The tensors of a forward pass as a list, for the tape to keep. */
export function keptBy({ input, weight, y, nx, nw, c, k, magnitude }: AngularForward): Tensor[] {
  const { radius, unit } = magnitude;
  return [input, weight, y, nx, nw, c, k, radius, unit].filter((tensor) => tensor !== null);
}

/** The forward pass from the tensors that the tape kept; what follows them in the list is `rest`. */
export function restored(
  recipe: AngularRecipe,
  saved: readonly Tensor[],
): { forward: AngularForward; rest: readonly Tensor[] } {
  const rest = [...saved];
  const next = (): Tensor => rest.shift() as Tensor;
  const [input, weight, y, nx, nw] = [next(), next(), next(), next(), next()];
  const c = recipe.keepsCosines ? next() : null;
  const k = recipe.learnsK ? next() : null;
  const radius = recipe.magnitude?.learnsRadius ? next() : null;
  const unit = recipe.magnitude?.hasUnit ? next() : null;
  return { forward: { input, weight, k, y, nx, nw, c, magnitude: { radius, unit } }, rest };
}

/**
 * Whether a SphereConv has to be computed in float64: a patch of one number is parallel to its kernel but for ε, and
 * the gradient is what is left of a difference of nearly equal numbers, which float32 would lose.
 */
export function needsFloat64(input: Tensor, weight: Tensor): boolean {
  return input.dtype !== 'float64' && weight.size === weight.shape[0];
}
