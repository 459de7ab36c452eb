// Numbers to the bits of 16-bit floats and back; they are converted on the host, so that a copy moves half the bytes.
import type { HalfDType } from './dtype';

const INFINITY = 0x7f800000;
/** 0.5, next to which float32 has steps of 2^-24, the least of float16. */
const ONE_HALF = 0x3f000000;
/** 2^-14, the least float16 that is not subnormal. */
const LEAST_NORMAL = 0x38800000;
/** float16 counts exponents from 15, float32 from 127. */
const EXPONENTS_APART = 112 << 23;

/** One float32, and its bits. */
const number = new Float32Array(1);
const bits = new Uint32Array(number.buffer);

/** The bits of `values`, each rounded once to nearest, ties to even; NaN stays NaN, what is too large is infinity. */
export function encodeHalf(dtype: HalfDType, values: ArrayLike<number>): Uint16Array {
  const encode = dtype === 'bfloat16' ? toBfloat16 : toFloat16;
  const nearest = new Float32Array(values);
  const wide = new Uint32Array(nearest.buffer);
  const encoded = new Uint16Array(nearest.length);
  for (let i = 0; i < encoded.length; ++i) {
    encoded[i] = encode(roundToOdd(values[i] as number, nearest[i] as number, wide[i] as number));
  }
  return encoded;
}

/** The values of 16-bit floats, all of which float32 has. */
export function decodeHalf(dtype: HalfDType, encoded: Uint16Array): Float32Array {
  const decode = dtype === 'bfloat16' ? fromBfloat16 : fromFloat16;
  const wide = new Uint32Array(encoded.length);
  for (let i = 0; i < wide.length; ++i) wide[i] = decode(encoded[i] as number);
  return new Float32Array(wide.buffer);
}

/**
 * The bits of the float32 on the way to 16 bits: of the two next to a number the one with an odd last bit, which is
 * never the middle between two 16-bit floats. So rounding twice gives what rounding once would.
 *
 * @param wide the bits of `nearest`, the float32 nearest to `value`
 */
function roundToOdd(value: number, nearest: number, wide: number): number {
  if (value === nearest || value !== value || wide & 1) return wide;
  const isTowardsZero = nearest < value === value > 0;
  return isTowardsZero ? wide + 1 : wide - 1;
}

function toBfloat16(wide: number): number {
  if ((wide & 0x7fffffff) > INFINITY) return (wide >>> 16) | 0x40;
  return (wide + 0x7fff + ((wide >>> 16) & 1)) >>> 16;
}

function fromBfloat16(encoded: number): number {
  return encoded << 16;
}

function toFloat16(wide: number): number {
  const sign = (wide >>> 16) & 0x8000;
  const size = wide & 0x7fffffff;
  if (size > INFINITY) return sign | 0x7e00;
  if (size >= LEAST_NORMAL) {
    const rounded = (size + 0xfff + ((size >>> 13) & 1) - EXPONENTS_APART) >>> 13;
    return sign | (rounded < 0x7c00 ? rounded : 0x7c00);
  }
  bits[0] = size;
  number[0] = (number[0] as number) + 0.5;
  return sign | (bits[0] - ONE_HALF);
}

function fromFloat16(encoded: number): number {
  const sign = (encoded & 0x8000) << 16;
  const size = (encoded & 0x7fff) << 13;
  if (size >= 0x7c00 << 13) return sign | (size + 2 * EXPONENTS_APART);
  if (size >= 0x400 << 13) return sign | (size + EXPONENTS_APART);
  number[0] = (encoded & 0x3ff) * 2 ** -24;
  return sign | (bits[0] as number);
}
