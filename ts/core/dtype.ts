import { checkOneOf } from './errors';

/** Element types. int32 holds labels, uint8 images. */
export type DType = FloatDType | HalfDType | 'int32' | 'uint8';
/** What parameters, statistics and optimisers are made of. float32 is the default, float64 is for gradient checks. */
export type FloatDType = 'float32' | 'float64';
/**
 * 16-bit floats, for activations: half the memory, and on a GPU the fast products. They only store: every op computes
 * in float32 and rounds its result, to nearest, ties to even. bfloat16 has float32's range and 8 significant bits;
 * float16 has 11, but reaches only to 65504 and down to 6e-8.
 */
export type HalfDType = 'bfloat16' | 'float16';
export type TypedArray = Float32Array | Float64Array | Int32Array | Uint8Array;

/** The host array of a dtype. That of a 16-bit one holds its values, converted. */
export interface HostArrays {
  float32: Float32Array;
  float64: Float64Array;
  int32: Int32Array;
  uint8: Uint8Array;
  bfloat16: Float32Array;
  float16: Float32Array;
}

const DTYPES: readonly DType[] = ['float32', 'float64', 'int32', 'uint8', 'bfloat16', 'float16'];

/** All floating-point dtypes, for messages. */
export const FLOAT_DTYPES = 'bfloat16, float16, float32 or float64';

/** The number that native/tensor.h gives a dtype. */
export function dtypeCode(dtype: DType): number {
  return DTYPES.indexOf(dtype);
}

export function checkDType(op: string, argument: string, value: unknown): asserts value is DType {
  checkOneOf(op, argument, value, DTYPES);
}

export function isHalf(dtype: DType): dtype is HalfDType {
  return dtype === 'bfloat16' || dtype === 'float16';
}

/** Whether it is float32 or float64. */
export function isFullFloat(dtype: DType): dtype is FloatDType {
  return dtype === 'float32' || dtype === 'float64';
}

export function isFloat(dtype: DType): dtype is FloatDType | HalfDType {
  return isFullFloat(dtype) || isHalf(dtype);
}

/** Of parameters, statistics and norms beside activations of `dtype`: float32 where those have 16 bits. */
export function parameterDType(dtype: DType): DType {
  return isHalf(dtype) ? 'float32' : dtype;
}

/** A host array of `length` zeros. */
export function hostArray<D extends DType>(dtype: D, length: number): HostArrays[D];
export function hostArray(dtype: DType, length: number): TypedArray {
  switch (dtype) {
    case 'float32':
    case 'bfloat16':
    case 'float16':
      return new Float32Array(length);
    case 'float64':
      return new Float64Array(length);
    case 'int32':
      return new Int32Array(length);
    case 'uint8':
      return new Uint8Array(length);
  }
}

/** The dtype of a host array, or null where there is none of its kind. */
export function dtypeOfHostArray(array: ArrayBufferView): DType | null {
  if (array instanceof Float32Array) return 'float32';
  if (array instanceof Float64Array) return 'float64';
  if (array instanceof Int32Array) return 'int32';
  if (array instanceof Uint8Array) return 'uint8';
  return null;
}
