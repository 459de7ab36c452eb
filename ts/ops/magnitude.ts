// The decoupled operators: a SphereConv whose output is multiplied by a function of the patch norm.
import { BinaryOp } from '../core/binding';
import { checkNumber, checkOneOf, describe, fail } from '../core/errors';
import { run } from '../core/run';
import { allocateLike, Tensor } from '../core/tensor';
import type { AngularFunction } from './angular_functions';
import { cast } from './cast';
import { checkTensor } from './check';

/** h: how the norm of a patch enters a decoupled operator; see {@link DecoupledOperator}. */
export type MagnitudeFunction = 'ball' | 'tanh' | 'linear' | 'segmented' | 'logarithmic' | 'mixed';

/** In the order of Magnitude in native/ops.h. */
export const MAGNITUDE_FUNCTIONS: readonly MagnitudeFunction[] = [
  'ball',
  'tanh',
  'linear',
  'segmented',
  'logarithmic',
  'mixed',
];

const WITH_RADIUS: readonly MagnitudeFunction[] = ['ball', 'tanh', 'segmented'];
/** Default slopes β; other functions have none. */
const SLOPES: Partial<Record<MagnitudeFunction, number>> = { segmented: 0.5, mixed: 1 };

/**
 * A decoupled operator h(n)·g(θ), n = √(Σx² + ε) the norm of the patch (Liu et al., Decoupled Networks, CVPR 2018):
 *
 * | magnitude     | h(n)                                      |
 * | ------------- | ----------------------------------------- |
 * | `ball`        | α·min(n, ρ)/ρ                             |
 * | `tanh`        | α·tanh(n/ρ)                               |
 * | `linear`      | α·n                                       |
 * | `segmented`   | α·n up to ρ, beyond it β·n + αρ − βρ      |
 * | `logarithmic` | α·log(1 + n)                              |
 * | `mixed`       | α·n + β·log(1 + n)                        |
 */
export interface DecoupledOperator<R = number | Tensor> {
  magnitude: MagnitudeFunction;
  /** g. Default 'cosine'. */
  angular?: AngularFunction | undefined;
  /** α, above 0. Default 1. */
  scale?: number | undefined;
  /** β of 'segmented' (default 0.5) and 'mixed' (default 1), at least 0. */
  slope?: number | undefined;
  /**
   * ρ of 'ball', 'tanh' and 'segmented', above 0: a number, or a tensor [O] or [1] that gets a gradient, float32 beside
   * 16 bits. Default 1.
   */
  radius?: R | undefined;
}

/** The mean patch norm as unit of the radius: ρ = radius · unit. The unit is a constant to the gradient. */
export interface MeanNorm {
  /** Of shape [2]: weighted sum of the batches' means, and sum of the weights. Zeros at the start. */
  average: Tensor;
  /** Whether the unit is the batch's mean, by which the average then moves, or the average. Default true. */
  training?: boolean | undefined;
  /** How much of the average stays at each batch, from 0 to 1. Default 0.999. */
  decay?: number | undefined;
}

/** MagnitudeParams of native/ops.h. */
export interface MagnitudeParams {
  function: number;
  scale: number;
  slope: number;
  radius: number;
}

export function isDecoupled(operator: unknown): operator is DecoupledOperator<unknown> {
  return typeof operator === 'object' && operator !== null;
}

export function hasRadius({ magnitude }: DecoupledOperator<unknown>): boolean {
  return WITH_RADIUS.includes(magnitude);
}

/** Checks all of an operator but its angular function and the values of its radius; fills in the native parameters. */
export function magnitudeParams(op: string, operator: DecoupledOperator<unknown>): MagnitudeParams {
  const { magnitude, scale = 1, slope, radius } = operator;
  checkOneOf(op, 'operator.magnitude', magnitude, MAGNITUDE_FUNCTIONS);
  checkNumber(op, 'operator.scale', scale, 'a number above 0', (value) => value > 0);
  const defaultSlope = SLOPES[magnitude];
  const without = (what: string): string => `left out, because magnitude '${magnitude}' has no ${what}`;
  if (slope !== undefined && defaultSlope === undefined) {
    fail(op, 'operator.slope', without('slope'), describe(slope));
  }
  const checkedSlope = slope ?? defaultSlope ?? 0;
  checkNumber(op, 'operator.slope', checkedSlope, 'a number of at least 0', (value) => value >= 0);
  if (radius !== undefined && !hasRadius(operator)) {
    fail(op, 'operator.radius', without('radius'), describe(radius));
  }
  const fixed = typeof radius === 'number' ? radius : 1;
  return { function: MAGNITUDE_FUNCTIONS.indexOf(magnitude), scale, slope: checkedSlope, radius: fixed };
}

/** What multiplies g, without any tensor. */
export interface MagnitudeRecipe {
  readonly params: MagnitudeParams;
  readonly learnsRadius: boolean;
  readonly hasUnit: boolean;
}

/** Its tensors, as the gradient needs them. */
export interface MagnitudeTensors {
  /** The radius as it was given, where it is a tensor. */
  readonly radius: Tensor | null;
  /** The mean norm [1] that multiplies it, where there is one. */
  readonly unit: Tensor | null;
}

export const NO_MAGNITUDE: MagnitudeTensors = { radius: null, unit: null };

/** Checks the operator and the unit of its radius on behalf of `op`. */
export function checkMagnitude(
  op: string,
  operator: DecoupledOperator,
  meanNorm: MeanNorm | undefined,
  input: Tensor,
  filters: number,
): MagnitudeRecipe {
  const params = magnitudeParams(op, operator);
  const { radius } = operator;
  if (radius instanceof Tensor) {
    checkTensor(op, 'operator.radius', radius, { axes: 'O', like: input, as: 'parameter' });
    if (radius.size !== 1 && radius.size !== filters) {
      fail(op, 'operator.radius', `of shape [${filters}] or [1]`, radius.describe());
    }
  } else if (radius !== undefined) {
    checkNumber(op, 'operator.radius', radius, 'a number above 0 or a tensor', (value) => value > 0);
  }
  if (meanNorm) {
    if (!hasRadius(operator)) {
      fail(op, 'meanNorm', `left out, because magnitude '${operator.magnitude}' has no radius`, 'an object');
    }
    const { average, decay = 0.999 } = meanNorm;
    checkTensor(op, 'meanNorm.average', average, { shape: [2] });
    checkNumber(op, 'meanNorm.decay', decay, 'a number from 0 to 1', (value) => value >= 0 && value <= 1);
  }
  return { params, learnsRadius: radius instanceof Tensor, hasUnit: meanNorm !== undefined };
}

/** The mean of the norms, by which the average moves in training, or the average. */
function unitOf({ average, training = true, decay = 0.999 }: MeanNorm, nx: Tensor): Tensor {
  const unit = allocateLike(nx, [1]);
  const held = average.dtype === nx.dtype ? average : cast(average, nx.dtype);
  run('meanNorm', decay, training ? nx : null, held, unit);
  if (training) {
    if (held !== average) run('cast', 1, 0, held, average);
    average.handle.markWritten();
  }
  return unit;
}

/** ρ as a tensor, or null where it is the number of the native parameters. */
function effectiveRadius({ params }: MagnitudeRecipe, { radius, unit }: MagnitudeTensors): Tensor | null {
  if (unit === null) return radius;
  const rho = allocateLike(unit, radius ? radius.shape : [1]);
  if (radius) run('binary', BinaryOp.Mul, radius, unit, rho);
  else run('affine', params.radius, 0, unit, rho);
  return rho;
}

/** y = h·y in place, y holding g. */
export function applyMagnitude(
  recipe: MagnitudeRecipe,
  radius: number | Tensor | undefined,
  meanNorm: MeanNorm | undefined,
  nx: Tensor,
  y: Tensor,
): MagnitudeTensors {
  const tensors = {
    radius: radius instanceof Tensor ? radius : null,
    unit: meanNorm ? unitOf(meanNorm, nx) : null,
  };
  run('magnitude', recipe.params, nx, effectiveRadius(recipe, tensors), y, y);
  return tensors;
}

/** What the magnitude leaves for the angular pass: g, its gradient, and what is taken from r. */
export interface MagnitudeGradient {
  readonly g: Tensor;
  readonly dg: Tensor;
  readonly radial: Tensor;
  readonly dradius: Tensor | null;
}

export function magnitudeGradient(
  recipe: MagnitudeRecipe,
  { y, nx, magnitude: tensors }: { y: Tensor; nx: Tensor; magnitude: MagnitudeTensors },
  dy: Tensor,
  needsRadius: boolean,
): MagnitudeGradient {
  const { radius, unit } = tensors;
  const [g, dg, radial] = [allocateLike(y), allocateLike(y), allocateLike(nx)];
  const dradius = radius && needsRadius ? allocateLike(radius) : null;
  const rho = effectiveRadius(recipe, tensors);
  run('magnitudeBackward', recipe.params, y, dy, nx, rho, g, dg, radial, dradius);
  if (dradius && unit) run('binary', BinaryOp.Mul, dradius, unit, dradius);
  return { g, dg, radial, dradius };
}
