/** What the 16-bit dtypes are, from their definition: all their values, and rounding to them by looking them up. */
import type { HalfDType } from './library';

// Jest's global object is slow to look into.
const { abs } = Math;

export const HALF_DTYPES: readonly HalfDType[] = ['bfloat16', 'float16'];

const FORMATS = {
  bfloat16: { fraction: 7, bias: 127 },
  float16: { fraction: 10, bias: 15 },
};

/** The largest relative error of one rounding. */
export function roundingError(dtype: HalfDType): number {
  return 2 ** -(FORMATS[dtype].fraction + 1);
}

const tables = new Map<HalfDType, Float64Array>();

/** The value of each of the 65536 bit patterns. */
export function allValues(dtype: HalfDType): Float64Array {
  const table = tables.get(dtype) ?? tabulate(dtype);
  tables.set(dtype, table);
  return table;
}

function tabulate(dtype: HalfDType): Float64Array {
  const { fraction, bias } = FORMATS[dtype];
  const steps = 2 ** fraction;
  const special = 2 * bias + 1;
  return Float64Array.from({ length: 65536 }, (_, bits) => {
    const sign = bits < 32768 ? 1 : -1;
    const exponent = Math.floor((bits % 32768) / steps);
    const share = (bits % steps) / steps;
    if (exponent === special) return share === 0 ? sign * Infinity : NaN;
    return sign * (exponent === 0 ? share * 2 ** (1 - bias) : (1 + share) * 2 ** (exponent - bias));
  });
}

/** Rounds to nearest, ties to the even pattern, by the table of what there is. */
export function rounder(dtype: HalfDType): (value: number) => number {
  const all = allValues(dtype);
  const infinity = dtype === 'bfloat16' ? 0x7f80 : 0x7c00;
  // One more step upwards is where infinity begins, for rounding.
  const positive = all.slice(0, infinity + 1);
  positive[infinity] = 2 * (all[infinity - 1] as number) - (all[infinity - 2] as number);
  return (value) => {
    if (Number.isNaN(value)) return NaN;
    const size = abs(value);
    let [low, high] = [0, infinity];
    if (size >= (positive[infinity] as number)) low = infinity;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((positive[middle] as number) <= size) low = middle;
      else high = middle;
    }
    let nearest = low;
    if (low < high) {
      const [below, above] = [size - (positive[low] as number), (positive[high] as number) - size];
      if (above < below || (above === below && low % 2 === 1)) nearest = high;
    }
    const rounded = nearest === infinity ? Infinity : (positive[nearest] as number);
    return value < 0 || Object.is(value, -0) ? -rounded : rounded;
  };
}
