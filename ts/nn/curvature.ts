// The curvature of the sigmoid operator in layers, and how it is learnt.
import { full } from '../core/create';
import type { FloatDType } from '../core/dtype';
import { checkNumber, fail } from '../core/errors';
import type { Tensor } from '../core/tensor';
import * as ops from '../ops';
import { parameter } from './parameter';

/** A trained value: `'learnable'` for one per filter, or one of the whole layer where it is `shared`. */
export type Learnable = 'learnable' | { learnable: true; shared?: boolean };

/**
 * The curvature of a sigmoid layer: a fixed number, `'learnable'` for one trained value per filter,
 * `{ learnable: true, shared: true }` for one trained value of the whole layer, or a {@link SharedCurvature} for one of
 * several layers.
 */
export type Curvature = number | Learnable | SharedCurvature;

// Added to |raw k|, so that a learnt curvature stays positive (the authors' code).
const CURVATURE_FLOOR = 0.05;

export interface SharedCurvatureOptions {
  /** Effective k that learning starts from, above 0.05; 0.5 by default (the paper's). */
  init?: number | undefined;
  /** That of the layers; 'float32' by default. */
  dtype?: FloatDType | undefined;
}

/**
 * One trained curvature of several layers, or of a whole network.
 *
 * ```ts
 * const k = new nn.SharedCurvature();
 * const net = new nn.Sequential(
 *   new nn.SphereConv2d(3, 64, 3, { operator: 'sigmoid', k }),
 *   new nn.SphereConv2d(64, 64, 3, { operator: 'sigmoid', k }),
 * );
 * ```
 *
 * Each of the layers has it as its `curvature`; a network's parameters() and stateDict() hold it once, under the first.
 */
export class SharedCurvature {
  /** Raw value, `[1]`, role `curvature`. */
  readonly curvature: Tensor;

  /** @throws SphereNetError where init is out of range */
  constructor({ init = 0.5, dtype = 'float32' }: SharedCurvatureOptions = {}) {
    checkStart('SharedCurvature', 'init', init);
    this.curvature = rawCurvature(1, init, dtype);
  }

  /** The k in effect, |raw| + 0.05. */
  k(): Tensor {
    return effectiveCurvature(this.curvature);
  }
}

/** Checks what a learnable curvature starts from. */
export function checkStart(owner: string, argument: string, value: number): void {
  checkNumber(owner, argument, value, `a number above ${CURVATURE_FLOOR}`, (k) => k > CURVATURE_FLOOR);
}

/** The raw parameter behind a learnable k, `[filters]` or `[1]`; null where k is not learnable. */
export function createCurvature(
  owner: string,
  { k, kInit = 0.5 }: { k?: Curvature | undefined; kInit?: number | undefined },
  filters: number,
  dtype: FloatDType,
): Tensor | null {
  if (k instanceof SharedCurvature) {
    if (k.curvature.dtype !== dtype) fail(owner, 'k', `a curvature in ${dtype}`, k.curvature.describe());
    return k.curvature;
  }
  return isLearnable(k) ? rawCurvature(countOf(k, filters), kInit, dtype) : null;
}

/** k = |raw| + 0.05, differentiable. */
export function effectiveCurvature(raw: Tensor): Tensor {
  return ops.scale(ops.abs(raw), 1, CURVATURE_FLOOR);
}

export function isLearnable(value: unknown): value is Learnable {
  return (
    value === 'learnable' ||
    (typeof value === 'object' && value !== null && 'learnable' in value && value.learnable === true)
  );
}

/** How many trained values a layer of `filters` filters has. */
export function countOf(value: Learnable, filters: number): number {
  return value !== 'learnable' && value.shared === true ? 1 : filters;
}

function rawCurvature(count: number, start: number, dtype: FloatDType): Tensor {
  return parameter(full([count], start - CURVATURE_FLOOR, { dtype }), 'curvature');
}
