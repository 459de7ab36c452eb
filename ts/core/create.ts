import { checkDevice, device as devices } from './device';
import type { DeviceName } from './device';
import { checkDType, dtypeOfHostArray } from './dtype';
import type { DType, TypedArray } from './dtype';
import { describe, fail } from './errors';
import { checkShape, formatShape, sizeOf } from './shape';
import type { Shape } from './shape';
import { run } from './run';
import { allocate, writeHost } from './tensor';
import type { NestedArray, Tensor } from './tensor';

export interface TensorOptions {
  /** Default 'float32'; for {@link tensor} of a typed array, that array's. */
  dtype?: DType | undefined;
  /** Default {@link device.current}. */
  device?: DeviceName | undefined;
  /** Whether backward() leaves a gradient here. Default false. */
  requiresGrad?: boolean | undefined;
}

/**
 * A tensor of given values: a number, nested arrays of equal lengths, or a typed array with a shape. They are rounded
 * to the dtype.
 *
 * @throws SphereNetError (SPHERENET_ARGUMENT) for ragged arrays, or where the shape does not hold the values.
 */
export function tensor(
  values: number | NestedArray | TypedArray,
  options: TensorOptions & { shape?: Shape } = {},
): Tensor {
  const op = 'tensor';
  let flat: TypedArray | readonly number[];
  let inferred: Shape;
  if (ArrayBuffer.isView(values)) {
    if (!dtypeOfHostArray(values)) {
      fail(op, 'values', 'a Float32Array, Float64Array, Int32Array or Uint8Array', describe(values));
    }
    flat = values;
    inferred = [values.length];
  } else if (typeof values === 'number') {
    flat = [values];
    inferred = [];
  } else if (Array.isArray(values)) {
    inferred = nestedShape(values);
    flat = values.flat(Infinity) as number[];
    if (!isNestedAs(values, inferred)) {
      fail(
        op,
        'values',
        `numbers nested as ${formatShape(inferred)}, as the first of them is`,
        'another nesting',
      );
    }
  } else {
    fail(op, 'values', 'a number, nested arrays of numbers or a typed array', describe(values));
  }
  const shape = options.shape ?? inferred;
  checkShape(op, shape);
  if (sizeOf(shape) !== flat.length) {
    fail(op, 'shape', `of ${flat.length} elements, as there are values`, formatShape(shape));
  }
  const dtype = options.dtype ?? (ArrayBuffer.isView(flat) ? dtypeOfHostArray(flat) : null) ?? 'float32';
  const result = create(op, shape, { ...options, dtype });
  writeHost(op, result, flat);
  return result;
}

/** A tensor of zeros. */
export function zeros(shape: Shape, options: TensorOptions = {}): Tensor {
  return filled('zeros', shape, 0, options);
}

/** A tensor of ones. */
export function ones(shape: Shape, options: TensorOptions = {}): Tensor {
  return filled('ones', shape, 1, options);
}

/** A tensor that holds `value` everywhere. */
export function full(shape: Shape, value: number, options: TensorOptions = {}): Tensor {
  if (typeof value !== 'number') fail('full', 'value', 'a number', describe(value));
  return filled('full', shape, value, options);
}

function filled(op: string, shape: Shape, value: number, options: TensorOptions): Tensor {
  const result = create(op, shape, options);
  run('fill', value, result);
  return result;
}

/** Checks the options of a factory function `op` and makes its uninitialised tensor. @internal */
export function create(op: string, shape: Shape, options: TensorOptions): Tensor {
  const { dtype = 'float32', device = devices.current(), requiresGrad = false } = options;
  checkShape(op, shape);
  checkDType(op, 'dtype', dtype);
  checkDevice(op, 'device', device);
  const result = allocate([...shape], dtype, device);
  if (requiresGrad) result.requiresGrad = true;
  return result;
}

/** Whether arrays are nested `shape` deep, of these lengths everywhere, with numbers inside. */
function isNestedAs(values: NestedArray | number, shape: Shape): boolean {
  if (shape.length === 0) return typeof values === 'number';
  const [extent, ...rest] = shape;
  return (
    Array.isArray(values) &&
    values.length === extent &&
    values.every((value) => isNestedAs(value as number, rest))
  );
}

function nestedShape(values: NestedArray | number): number[] {
  if (!Array.isArray(values)) return [];
  const array = values as NestedArray;
  return [array.length, ...(array.length > 0 ? nestedShape(array[0] as NestedArray | number) : [])];
}
