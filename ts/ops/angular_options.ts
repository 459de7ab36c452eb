// What says which angles an op computes.
import { checkNumber, checkOneOf, describe, fail } from '../core/errors';
import { Tensor } from '../core/tensor';
import { ANGULAR_FUNCTIONS, MARGIN_FUNCTIONS } from './angular_functions';
import type { AngularFunction } from './angular_functions';
import { isDecoupled, MAGNITUDE_FUNCTIONS } from './magnitude';
import type { DecoupledOperator, MeanNorm } from './magnitude';

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
