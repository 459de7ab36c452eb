// What all layers that measure angles have in common: the operator with its curvature and radius.
import { checkNumber, checkOneOf, describe, fail } from '../core/errors';
import type * as ops from '../ops';
import type { AngularFunction, DecoupledOperator, MarginFunction } from '../ops';
import { MARGIN_FUNCTIONS } from '../ops/angular_functions';
import { angularFunctionOf } from '../ops/angular_options';
import { checkStart, isLearnable, SharedCurvature } from './curvature';
import type { Curvature } from './curvature';
import { checkDecoupled } from './radius';
import type { Radius, RadiusUnit } from './radius';

/** What a layer computes of each kernel and patch: g(θ), or h(‖x‖)·g(θ) with a radius that may be learnt. */
export type AngularOperator = ops.AngularOperator<Radius>;

/** Options of everything that measures angles. */
export interface AngularOptions<K = number, Operator = MarginFunction> {
  /** g(θ): `cosine` (the default), `linear` or `sigmoid`; formulas at {@link ops.sphereConv2d}. */
  operator?: Operator | undefined;
  /** Curvature of the sigmoid, above 0; 0.3 by default. Not allowed with other operators, which have none. */
  k?: K | undefined;
  /** Added to the sums of squares under the root, above 0; 1e-4 by default, as the authors have it. */
  epsilon?: number | undefined;
}

/** The same for layers, whose curvature can be learnt. */
export interface AngularLayerOptions extends AngularOptions<Curvature, AngularOperator> {
  /** g(θ), also `squaredCosine`, or a decoupled operator; formulas at {@link ops.sphereConv2d} and {@link ops.DecoupledOperator}. */
  operator?: AngularOperator | undefined;
  /** Effective k that learning starts from, above 0.05; 0.5 by default (the paper's). */
  kInit?: number | undefined;
  /**
   * What a decoupled operator's radius is measured in: `meanNorm` (the default, as the authors' follow-up has it), the
   * mean norm of the batch's patches in training and its running average (decay 0.999) in inference, or `absolute`.
   */
  radiusUnit?: RadiusUnit | undefined;
}

/** Checked options, as the ops take them; no k where it is learnt or the operator has none. */
export interface CheckedAngular<G extends AngularFunction = AngularFunction> {
  readonly operator: G;
  readonly epsilon: number;
  readonly k?: number;
}

/** Checks the options of what measures angles only, with the functions that have a margin; fills in defaults. */
export function checkAngular(owner: string, options: AngularOptions): CheckedAngular<MarginFunction> {
  const { operator = 'cosine' } = options;
  checkOneOf(owner, 'operator', operator, MARGIN_FUNCTIONS);
  return checkCurvature(owner, operator, options);
}

/** The same of a layer. */
export interface CheckedLayer extends CheckedAngular {
  readonly decoupled: DecoupledOperator<Radius> | null;
}

/** Checks the options of a layer; fills in defaults. */
export function checkAngularLayer(owner: string, options: AngularLayerOptions): CheckedLayer {
  const { operator = 'cosine', radiusUnit } = options;
  const g = angularFunctionOf(owner, operator);
  return {
    ...checkCurvature(owner, g, options),
    decoupled: checkDecoupled(owner, operator, radiusUnit),
  };
}

function checkCurvature<G extends AngularFunction>(
  owner: string,
  operator: G,
  options: Omit<AngularLayerOptions, 'operator'>,
): CheckedAngular<G> {
  const { epsilon = 1e-4, k, kInit } = options;
  checkNumber(owner, 'epsilon', epsilon, 'a number above 0', (value) => value > 0);
  if (k !== undefined && operator !== 'sigmoid') {
    fail(owner, 'k', `left out, because operator '${operator}' has no curvature`, describe(k));
  }
  if (isLearnable(k)) {
    if (kInit !== undefined) checkStart(owner, 'kInit', kInit);
    return { operator, epsilon };
  }
  if (kInit !== undefined) fail(owner, 'kInit', 'left out where k is not learnable', describe(kInit));
  if (operator !== 'sigmoid' || k instanceof SharedCurvature) return { operator, epsilon };
  const expected = "a number above 0, 'learnable', { learnable: true, shared } or a SharedCurvature";
  const fixed = k ?? 0.3;
  checkNumber(owner, 'k', fixed, expected, (value) => value > 0);
  return { operator, epsilon, k: fixed };
}
