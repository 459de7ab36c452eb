// What all layers that measure angles have in common: the operator, its curvature, and how that is learnt.
import { full } from '../core/create';
import type { FloatDType } from '../core/dtype';
import { checkNumber, checkOneOf, describe, fail } from '../core/errors';
import type { Tensor } from '../core/tensor';
import * as ops from '../ops';
import type { AngularFunction, AngularOperator } from '../ops';
import { MARGIN_FUNCTIONS } from '../ops/angular_forward';
import { parameter } from './parameter';

/**
 * The curvature of a sigmoid layer: a fixed number, `'learnable'` for one trained value per filter, or
 * `{ learnable: true, shared: true }` for one trained value of the whole layer.
 */
export type Curvature = number | 'learnable' | { learnable: true; shared?: boolean };

/** Options of everything that measures angles. */
export interface AngularOptions<K = number> {
  /** g(θ): `cosine` (the default), `linear`, `sigmoid` or, in layers, `squaredCosine`; formulas at {@link ops.sphereConv2d}. */
  operator?: AngularOperator | undefined;
  /** Curvature of the sigmoid, above 0; 0.3 by default. Not allowed with other operators, which have none. */
  k?: K | undefined;
  /** Added to the sums of squares under the root, above 0; 1e-4 by default, as the authors have it. */
  epsilon?: number | undefined;
}

/** The same for layers whose curvature can be learnt. */
export interface AngularLayerOptions extends AngularOptions<Curvature> {
  /** Effective k that learning starts from, above 0.05; 0.5 by default (the paper's). */
  kInit?: number | undefined;
}

/** Checked options, as the ops take them; no k where it is learnt or the operator has none. */
export interface CheckedAngular {
  readonly operator: AngularOperator;
  readonly epsilon: number;
  readonly k?: number;
}

// Added to |raw k|, so that a learnt curvature stays positive (the authors' code).
const CURVATURE_FLOOR = 0.05;

/** Checks the options and fills in defaults. `functions`: what the owner can compute. */
export function checkAngular(
  owner: string,
  options: AngularLayerOptions,
  functions: readonly AngularFunction[] = MARGIN_FUNCTIONS,
): CheckedAngular {
  const { operator = 'cosine', epsilon = 1e-4, k, kInit = 0.5 } = options;
  checkOneOf(owner, 'operator', operator, functions);
  checkNumber(owner, 'epsilon', epsilon, 'a number above 0', (value) => value > 0);
  if (k !== undefined && operator !== 'sigmoid') {
    fail(owner, 'k', `left out, because operator '${operator}' has no curvature`, describe(k));
  }
  if (isLearnable(k)) {
    const expected = `a number above ${CURVATURE_FLOOR}`;
    checkNumber(owner, 'kInit', kInit, expected, (value) => value > CURVATURE_FLOOR);
    return { operator, epsilon };
  }
  if (options.kInit !== undefined) fail(owner, 'kInit', 'left out where k is not learnable', describe(kInit));
  if (operator !== 'sigmoid') return { operator, epsilon };
  const expected = "a number above 0, 'learnable' or { learnable: true, shared }";
  const fixed = k ?? 0.3;
  checkNumber(owner, 'k', fixed, expected, (value) => value > 0);
  return { operator, epsilon, k: fixed };
}

/** The raw parameter behind a learnable k, `[filters]` or `[1]`; null where k is not learnable. */
export function createCurvature(
  { k, kInit = 0.5 }: AngularLayerOptions,
  filters: number,
  dtype: FloatDType,
): Tensor | null {
  if (!isLearnable(k)) return null;
  const count = k !== 'learnable' && k.shared === true ? 1 : filters;
  return parameter(full([count], kInit - CURVATURE_FLOOR, { dtype }), 'curvature');
}

/** k = |raw| + 0.05, differentiable. */
export function effectiveCurvature(raw: Tensor): Tensor {
  return ops.scale(ops.abs(raw), 1, CURVATURE_FLOOR);
}

function isLearnable(k: unknown): k is Exclude<Curvature, number> {
  return (
    k === 'learnable' || (typeof k === 'object' && k !== null && 'learnable' in k && k.learnable === true)
  );
}
