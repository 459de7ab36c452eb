// What sphereConv2d and sphereConv2dNorm share: the forward pass and what it keeps.
import { parameterDType } from '../core/dtype';
import { describe, fail } from '../core/errors';
import { run } from '../core/run';
import { allocate, allocateLike } from '../core/tensor';
import type { Tensor } from '../core/tensor';
import { ANGULAR_FUNCTIONS } from './angular_functions';
import { angularFunctionOf, angularParams } from './angular_options';
import type { AngularOptions, AngularParams } from './angular_options';
import { checkResult, checkTensor } from './check';
import { convGeometry } from './geometry';
import type { ConvOptions, ConvParams } from './geometry';
import { applyMagnitude, checkMagnitude, isDecoupled, NO_MAGNITUDE } from './magnitude';
import type { MagnitudeRecipe, MagnitudeTensors } from './magnitude';

/** AngularOperator::Cosine of native/ops.h. */
const COSINE = 0;

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
