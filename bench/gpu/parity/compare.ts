// How far a result may be from the reference, and how far it is.
import type { VariantName } from '../target';

/**
 * What an op does to rounding errors.
 *   exact     numbers are moved or chosen, none is rounded
 *   rounding  one rounding of each result, or a few
 *   sum       sums of many terms, in float32 or wider
 *   product   sums of products, on tensor cores where the variant says so
 *   angular   products, norms and angles; gradients recover the cosine from the stored output
 *   remnant   sums of angular terms that nearly cancel, such as a curvature's gradient behind a batch norm
 */
export type Kind = 'exact' | 'rounding' | 'sum' | 'product' | 'angular' | 'remnant';

/** Bounds on ‖a − b‖ / ‖b‖ and on the worst |a − b| / max(|b|, rms b). */
export interface Tolerance {
  readonly norm: number;
  readonly worst: number;
}

const EXACT: Tolerance = { norm: 0, worst: 0 };

export const TOLERANCES: Readonly<Record<VariantName, Readonly<Record<Kind, Tolerance>>>> = {
  float64: {
    exact: EXACT,
    rounding: { norm: 1e-15, worst: 4e-15 },
    sum: { norm: 1e-12, worst: 1e-11 },
    product: { norm: 1e-12, worst: 1e-11 },
    angular: { norm: 1e-9, worst: 1e-8 },
    remnant: { norm: 1e-8, worst: 1e-7 },
  },
  float32: {
    exact: EXACT,
    rounding: { norm: 3e-7, worst: 1e-6 },
    sum: { norm: 1e-5, worst: 1e-4 },
    product: { norm: 1e-5, worst: 1e-4 },
    angular: { norm: 2e-5, worst: 5e-4 },
    remnant: { norm: 5e-4, worst: 5e-3 },
  },
  tf32: {
    exact: EXACT,
    rounding: { norm: 3e-7, worst: 1e-6 },
    sum: { norm: 1e-5, worst: 1e-4 },
    product: { norm: 2e-3, worst: 1e-2 },
    angular: { norm: 4e-3, worst: 4e-2 },
    remnant: { norm: 0.1, worst: 1 },
  },
  bfloat16: {
    exact: EXACT,
    rounding: { norm: 4e-3, worst: 1e-2 },
    sum: { norm: 4e-3, worst: 2e-2 },
    product: { norm: 4e-3, worst: 2e-2 },
    angular: { norm: 2e-2, worst: 0.2 },
    remnant: { norm: 0.3, worst: 3 },
  },
  float16: {
    exact: EXACT,
    rounding: { norm: 5e-4, worst: 2e-3 },
    sum: { norm: 5e-4, worst: 3e-3 },
    product: { norm: 5e-4, worst: 3e-3 },
    angular: { norm: 4e-3, worst: 4e-2 },
    remnant: { norm: 0.1, worst: 1 },
  },
};

/** Measured as {@link Tolerance} says; `at` is the index of the worst element. */
export interface Distance {
  norm: number;
  worst: number;
  at: number;
}

/** Below this root mean square a reference counts as zero, and errors as absolute. */
const TINY = 1e-6;

/** Equal NaNs and infinities are no error; any other non-finite number is an infinite one. */
export function distance(got: ArrayLike<number>, reference: ArrayLike<number>): Distance {
  if (got.length !== reference.length) return { norm: Infinity, worst: Infinity, at: -1 };
  let squares = 0;
  for (let i = 0; i < reference.length; ++i) {
    const b = reference[i] as number;
    if (Number.isFinite(b)) squares += b * b;
  }
  const rms = Math.max(Math.sqrt(squares / Math.max(reference.length, 1)), TINY);
  const result: Distance = { norm: 0, worst: 0, at: -1 };
  let sum = 0;
  for (let i = 0; i < reference.length; ++i) {
    const [a, b] = [got[i] as number, reference[i] as number];
    if (Object.is(a, b) || a === b) continue;
    const error = Number.isFinite(a) && Number.isFinite(b) ? Math.abs(a - b) : Infinity;
    sum += error * error;
    const relative = error / Math.max(Math.abs(b), rms);
    if (relative > result.worst) Object.assign(result, { worst: relative, at: i });
  }
  result.norm = Math.sqrt(sum / Math.max(reference.length, 1)) / rms;
  return result;
}

export function isWithin(distance: Distance, { norm, worst }: Tolerance): boolean {
  return distance.norm <= norm && distance.worst <= worst;
}
