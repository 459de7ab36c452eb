// The radius of a decoupled operator in layers: its unit, and how it is learnt.
import { full, zeros } from '../core/create';
import type { FloatDType } from '../core/dtype';
import { checkNumber, checkOneOf, describe, fail } from '../core/errors';
import type { Tensor } from '../core/tensor';
import * as ops from '../ops';
import type { DecoupledOperator } from '../ops';
import { hasRadius, isDecoupled, magnitudeParams } from '../ops/magnitude';
import { countOf, isLearnable } from './curvature';
import type { Learnable } from './curvature';
import { buffer, parameter } from './parameter';

/**
 * ρ of a decoupled layer, in its unit: a fixed number, `'learnable'` for one trained value per filter, or
 * `{ learnable: true, shared: true }` for one trained value of the whole layer.
 */
export type Radius = number | Learnable;

/**
 * What a radius is measured in: mean norms of the patches (of the batch in training, a running average in inference), or
 * norms as they are.
 */
export type RadiusUnit = 'meanNorm' | 'absolute';

// Added to the square of the raw radius, so that a learnt one stays positive (the authors' code).
const RADIUS_FLOOR = 1e-4;

/** Checks the magnitude of an operator and its radius; null where there is none. */
export function checkDecoupled(
  owner: string,
  operator: unknown,
  radiusUnit: RadiusUnit | undefined,
): DecoupledOperator<Radius> | null {
  if (!isDecoupled(operator)) {
    if (radiusUnit !== undefined) {
      fail(owner, 'radiusUnit', `left out, because operator '${String(operator)}' has no radius`, describe(radiusUnit)); // prettier-ignore
    }
    return null;
  }
  magnitudeParams(owner, operator);
  const { magnitude, radius = 1 } = operator;
  if (!hasRadius(operator)) {
    if (radiusUnit === undefined) return operator as DecoupledOperator<Radius>;
    fail(owner, 'radiusUnit', `left out, because magnitude '${magnitude}' has no radius`, describe(radiusUnit)); // prettier-ignore
  }
  checkOneOf(owner, 'radiusUnit', radiusUnit ?? 'meanNorm', ['meanNorm', 'absolute']);
  if (isLearnable(radius)) return { ...operator, radius };
  const expected = "a number above 0, 'learnable' or { learnable: true, shared }";
  checkNumber(owner, 'operator.radius', radius, expected, (value) => value > 0);
  return { ...operator, radius };
}

/** The tensors that a layer keeps for the radius. */
export interface RadiusTensors {
  readonly radius: Tensor | null;
  readonly normAverage: Tensor | null;
}

/** The raw parameter of a learnable radius, 1 at the start, and the buffer of its unit. */
export function createRadius(
  operator: DecoupledOperator<Radius> | null,
  radiusUnit: RadiusUnit | undefined,
  filters: number,
  dtype: FloatDType,
): RadiusTensors {
  if (!operator || !hasRadius(operator)) return { radius: null, normAverage: null };
  const { radius } = operator;
  return {
    radius: isLearnable(radius) ? parameter(full([countOf(radius, filters)], 1, { dtype }), 'radius') : null,
    normAverage: radiusUnit === 'absolute' ? null : buffer(zeros([2], { dtype })),
  };
}

/** raw² + 1e-4, differentiable. */
export function effectiveRadius(raw: Tensor): Tensor {
  return ops.scale(ops.square(raw), 1, RADIUS_FLOOR);
}

/** The operator as the ops take it, with the radius in effect in its unit. */
export function effectiveOperator(
  operator: DecoupledOperator<Radius>,
  raw: Tensor | null,
): ops.DecoupledOperator {
  const { radius, ...rest } = operator;
  if (raw) return { ...rest, radius: effectiveRadius(raw) };
  return typeof radius === 'number' ? { ...rest, radius } : rest;
}
