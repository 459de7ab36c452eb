/**
 * `expect(actual).toBeAllClose(expected, tolerance)`: every element differs by at most tolerance times the largest
 * magnitude in `expected` (times 1 where that is all zeros). NaN equals NaN, infinities equal themselves.
 */
import type { Tensor } from '../../ts/core/tensor';

declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- the way to extend jest's matchers
  namespace jest {
    interface Matchers<R> {
      toBeAllClose(expected: ArrayLike<number> | Tensor, tolerance: number): R;
      /** The received function throws a SphereNetError of this code whose message contains every one of `words`. */
      toThrowSphereNetError(code: string, ...words: (string | RegExp)[]): R;
    }
  }
}

// Jest's global object is slow to look into.
const { abs } = Math;
const { is } = Object;
const { isNaN, isFinite } = Number;

/** The largest difference, as a share of the largest expected magnitude. Infinity where only one is NaN or infinite. */
export function worstDifference(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
): { worst: number; at: number } {
  let largest = 0;
  for (let i = 0; i < expected.length; ++i) {
    const magnitude = abs(expected[i] as number);
    if (isFinite(magnitude) && magnitude > largest) largest = magnitude;
  }
  const unit = largest || 1;
  let worst = 0;
  let at = 0;
  for (let i = 0; i < expected.length; ++i) {
    const [a, b] = [actual[i] as number, expected[i] as number];
    let difference = abs(a - b) / unit;
    if (is(a, b) || a === b || (isNaN(a) && isNaN(b))) difference = 0;
    if (isNaN(difference)) difference = Infinity;
    if (difference > worst) {
      worst = difference;
      at = i;
    }
  }
  return { worst, at };
}

function values(source: ArrayLike<number> | Tensor): ArrayLike<number> {
  return 'dataSync' in source ? source.dataSync() : source;
}

export const matchers = {
  toBeAllClose(received: ArrayLike<number> | Tensor, wanted: ArrayLike<number> | Tensor, tolerance: number) {
    const [actual, expected] = [values(received), values(wanted)];
    if (actual.length !== expected.length) {
      return { pass: false, message: () => `expected ${expected.length} numbers, got ${actual.length}` };
    }
    const { worst, at } = worstDifference(actual, expected);
    return {
      pass: worst <= tolerance,
      message: () =>
        `largest difference, relative to the largest element, is ${worst.toExponential(2)} at index ${at} ` +
        `(${actual[at]} instead of ${expected[at]}); allowed is ${tolerance}`,
    };
  },

  toThrowSphereNetError(received: () => unknown, code: string, ...words: (string | RegExp)[]) {
    let thrown: unknown;
    try {
      received();
    } catch (error) {
      thrown = error;
    }
    if (!(thrown instanceof Error))
      return { pass: false, message: () => `expected ${code}, nothing was thrown` };
    const error = thrown as Error & { code?: string };
    const missing = words.filter((word) =>
      typeof word === 'string' ? !error.message.includes(word) : !word.test(error.message),
    );
    const pass = error.name === 'SphereNetError' && error.code === code && missing.length === 0;
    return {
      pass,
      message: () =>
        `expected a SphereNetError ${code}${missing.length > 0 ? ` that says ${missing.join(' and ')}` : ''}, ` +
        `got ${error.name} ${error.code ?? ''}: ${error.message}`,
    };
  },
};
