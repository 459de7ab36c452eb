import { checkOneOf } from './errors';

/** Element types. Networks compute in float32; float64 is for gradient checks; int32 holds labels, uint8 images. */
export type DType = 'float32' | 'float64' | 'int32' | 'uint8';
export type FloatDType = 'float32' | 'float64';
export type TypedArray = Float32Array | Float64Array | Int32Array | Uint8Array;

/** The host array of a dtype. */
export interface HostArrays {
  float32: Float32Array;
  float64: Float64Array;
  int32: Int32Array;
  uint8: Uint8Array;
}

const DTYPES: readonly DType[] = ['float32', 'float64', 'int32', 'uint8'];

/** The number that native/tensor.h gives a dtype. */
export function dtypeCode(dtype: DType): number {
  return DTYPES.indexOf(dtype);
}

export function checkDType(op: string, argument: string, value: unknown): asserts value is DType {
  checkOneOf(op, argument, value, DTYPES);
}

export function isFloat(dtype: DType): dtype is FloatDType {
  return dtype === 'float32' || dtype === 'float64';
}

/** A host array of `length` zeros. */
export function hostArray(dtype: DType, length: number): TypedArray {
  switch (dtype) {
    case 'float32':
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
