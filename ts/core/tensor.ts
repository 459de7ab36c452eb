import { binding } from './binding';
import { describe as describeValue, fail, SphereNetError } from './errors';
import { dtypeOfHostArray, FLOAT_DTYPES, hostArray, isFloat, isHalf } from './dtype';
import type { DType, HostArrays, TypedArray } from './dtype';
import type { DeviceName } from './device';
import { decodeHalf, encodeHalf } from './half';
import { frame } from './frame';
import { formatShape, sameShape, sizeOf } from './shape';
import type { Shape } from './shape';
import { currentOwner, keep } from './scope';
import type { Scoped, ScopeOwner } from './scope';
import { Handle, nativeError, translated } from './storage';
import type { Bounds } from './storage';

/** What an op recorded about its result; the graph's nodes in tape.ts are such. */
export interface Recorded {
  /** The result is gone. */
  release(): void;
  /** See {@link Tensor.backward}. */
  backward(root: Tensor, gradient: Tensor | undefined): void;
}

export type NestedArray = readonly (number | NestedArray)[];

/**
 * An n-dimensional array on a device, contiguous and row-major. Made by {@link tensor}, {@link zeros} and the like and
 * by ops; ops run in order and asynchronously, {@link Tensor.data} is where JavaScript waits.
 *
 * Its memory is freed by the {@link scope} it was made in, by dispose() or `using`, and at last by the garbage
 * collector. Any use after that throws (SPHERENET_DISPOSED).
 */
export class Tensor implements Scoped, Disposable {
  /** @internal */
  owner: ScopeOwner | null = null;
  /** @internal */
  place = 0;
  /** The op that made it, where gradients flow. @internal */
  node: Recorded | null = null;

  readonly shape: Shape;
  readonly dtype: DType;
  #device: DeviceName;
  #handle: Handle | null;
  #requiresGrad = false;
  #grad: Tensor | null = null;

  /** @internal Takes over one reference of the handle. The innermost scope owns the tensor unless `scoped` is false. */
  constructor(handle: Handle, scoped = true) {
    this.#handle = handle;
    this.shape = handle.shape;
    this.dtype = handle.dtype;
    this.#device = handle.device;
    if (scoped) currentOwner()?.add(this);
  }

  /** Where its memory is. */
  get device(): DeviceName {
    return this.#device;
  }

  get rank(): number {
    return this.shape.length;
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  get isDisposed(): boolean {
    return this.#handle === null;
  }

  /** @internal */
  get handle(): Handle {
    if (!this.#handle) {
      throw new SphereNetError('SPHERENET_DISPOSED', `${this.describe()} was used after it was disposed`);
    }
    return this.#handle;
  }

  /** Whether backward() leads here: set on leaves by the user, true for what ops make of them. */
  get requiresGrad(): boolean {
    return this.#requiresGrad || this.node !== null;
  }

  set requiresGrad(value: boolean) {
    if (this.node) fail('Tensor.requiresGrad', 'tensor', 'a leaf, not the result of an op', this.describe());
    if (value && !isFloat(this.dtype)) {
      fail('Tensor.requiresGrad', 'tensor', FLOAT_DTYPES, this.describe());
    }
    this.#requiresGrad = value;
  }

  /** The gradient that backward() has added up here; leaves only. Lives outside scopes, until zeroGrad(). */
  get grad(): Tensor | null {
    return this.#grad;
  }

  set grad(value: Tensor | null) {
    if (value === this.#grad) return;
    this.#grad?.dispose();
    this.#grad = value && keep(value);
  }

  /** Drops the gradient. */
  zeroGrad(): void {
    this.grad = null;
  }

  /**
   * Adds d(this)/d(leaf) to `grad` of every leaf that requires it, and frees the recorded graph on the way.
   *
   * @param gradient of this tensor's shape and dtype; left out, this must be a single number and it is 1.
   * @throws SphereNetError (SPHERENET_AUTOGRAD) where nothing was recorded or it was already freed.
   */
  backward(gradient?: Tensor): void {
    if (this.handle && !this.node) {
      throw new SphereNetError(
        'SPHERENET_AUTOGRAD',
        `backward: nothing was recorded for ${this.describe()}; set requiresGrad on what it is computed from, and do not compute under noGrad()`,
      );
    }
    this.node?.backward(this, gradient);
  }

  /** The same memory without history: writing to one shows in the other. */
  detach(): Tensor {
    return new Tensor(this.handle.retain());
  }

  /**
   * A copy on the host, of a bfloat16 or float16 tensor as float32, which has all their values. Does not block: ops
   * submitted before it run first, meanwhile JavaScript goes on. A dtype says what is expected, for the type of the
   * result: `(await t.data('float32')).map(Math.sqrt)`.
   *
   * @throws SphereNetError (SPHERENET_ARGUMENT) where the tensor is of another dtype.
   */
  data(): Promise<TypedArray>;
  data<D extends DType>(dtype: D): Promise<HostArrays[D]>;
  async data(dtype: DType = this.dtype): Promise<TypedArray> {
    this.#checkExpected('Tensor.data', dtype);
    const { handle } = this;
    const into = memoryArray(this.dtype, this.size);
    try {
      return asNumbers(this.dtype, await binding.read(handle.id, into));
    } catch (error) {
      throw nativeError('Tensor.data', error);
    }
  }

  /** {@link data}, blocking JavaScript until the device has got there. */
  dataSync(): TypedArray;
  dataSync<D extends DType>(dtype: D): HostArrays[D];
  dataSync(dtype: DType = this.dtype): TypedArray {
    this.#checkExpected('Tensor.dataSync', dtype);
    const { handle } = this;
    const into = memoryArray(this.dtype, this.size);
    return translated('Tensor.dataSync', () => asNumbers(this.dtype, binding.readSync(handle.id, into)));
  }

  /** The value of a tensor with one element. */
  async item(): Promise<number> {
    this.#checkSingle('Tensor.item');
    return (await this.data())[0] as number;
  }

  /** {@link item}, blocking. */
  itemSync(): number {
    this.#checkSingle('Tensor.itemSync');
    return this.dataSync()[0] as number;
  }

  /** Values as nested arrays; a number for a scalar. */
  async toArray(): Promise<NestedArray | number> {
    return nested(await this.data(), this.shape);
  }

  /**
   * Overwrites the values in place, in the order of the ops around it. Leaves only; views and detached tensors see it.
   *
   * @param source a tensor of this shape and dtype, or as many numbers as this has elements.
   */
  assign(source: Tensor | TypedArray | readonly number[]): void {
    if (this.node) fail('Tensor.assign', 'tensor', 'a leaf, not the result of an op', this.describe());
    if (source instanceof Tensor) {
      const same = sameShape(source.shape, this.shape) && source.dtype === this.dtype;
      if (!same || source.device !== this.device) {
        fail('Tensor.assign', 'source', this.describe(), source.describe());
      }
      const start = this.shape.map(() => 0);
      const [from, to] = [source.handle, this.handle];
      translated(null, () => {
        frame.begin().putList(start).putList(start).putList(this.shape).put(from.id).put(to.id);
        binding.ops.copyRegion.submit(frame.count);
      });
      this.handle.noteWritten(source.handle.bounds);
    } else {
      writeHost('Tensor.assign', this, source);
    }
    this.handle.markWritten();
  }

  /** Takes the values and the gradient to another device, in place; views and detached tensors stay. @internal */
  moveTo(device: DeviceName): void {
    const { handle } = this;
    if (device === handle.device) return;
    if (this.node) fail('Tensor.moveTo', 'tensor', 'a leaf, not the result of an op', this.describe());
    this.#handle = copyTo(handle, device);
    this.#device = device;
    handle.release();
    this.#grad?.moveTo(device);
  }

  /** Frees the memory unless the tape or a detached tensor still needs it. A second call does nothing. */
  dispose(): void {
    if (!this.#handle) return;
    this.owner?.remove(this);
    this.#handle.release();
    this.#handle = null;
    this.node?.release();
    this.node = null;
    this.zeroGrad();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** "a float32 tensor [2, 3] on cpu" */
  describe(): string {
    return `${this.dtype === 'int32' ? 'an' : 'a'} ${this.dtype} tensor ${formatShape(this.shape)} on ${this.device}`;
  }

  toString(): string {
    return `Tensor(${this.dtype} ${formatShape(this.shape)} on ${this.device}${this.isDisposed ? ', disposed' : ''})`;
  }

  #checkExpected(op: string, dtype: DType): void {
    if (dtype !== this.dtype) fail(op, 'dtype', `'${this.dtype}', as the tensor's`, describeValue(dtype));
  }

  #checkSingle(op: string): void {
    if (this.size !== 1) fail(op, 'tensor', 'a single number', this.describe());
  }
}

/** A copy on another device. @internal */
export function copyTo(from: Handle, device: DeviceName): Handle {
  const to = Handle.allocate(from.shape, from.dtype, device);
  translated('copy between devices', () => binding.copyAcross(from.id, to.id));
  to.noteWritten(from.bounds);
  return to;
}

/** Uninitialised memory, for ops that write all of it. @internal */
export function allocate(shape: Shape, dtype: DType, device: DeviceName): Tensor {
  return new Tensor(Handle.allocate(shape, dtype, device));
}

/** {@link allocate} with another tensor's dtype and device, and its shape unless given one. @internal */
export function allocateLike(like: Tensor, shape: Shape = like.shape): Tensor {
  return allocate(shape, like.dtype, like.device);
}

/** Copies host values, which may change afterwards, into a tensor of as many elements. */
export function writeHost(op: string, to: Tensor, source: TypedArray | readonly number[]): void {
  if (source.length !== to.size) {
    fail(op, 'source', `${to.size} numbers`, `${source.length}`);
  }
  let values: TypedArray | Uint16Array;
  if (!Array.isArray(source) && !ArrayBuffer.isView(source)) {
    fail(op, 'source', 'numbers', describeValue(source));
  } else if (isHalf(to.dtype)) {
    values = encodeHalf(to.dtype, source);
  } else if (ArrayBuffer.isView(source) && dtypeOfHostArray(source) === to.dtype) {
    values = source;
  } else {
    values = hostArray(to.dtype, to.size);
    values.set(source as ArrayLike<number>);
  }
  if (to.dtype === 'int32') to.handle.noteWritten(boundsOf(values));
  const { handle } = to;
  translated(op, () => binding.write(handle.id, values));
}

/** An array for the bytes of a tensor as they are on the device. */
function memoryArray(dtype: DType, length: number): TypedArray | Uint16Array {
  return isHalf(dtype) ? new Uint16Array(length) : hostArray(dtype, length);
}

/** The numbers in such an array. */
function asNumbers(dtype: DType, memory: TypedArray | Uint16Array): TypedArray {
  if (isHalf(dtype)) return decodeHalf(dtype, memory as Uint16Array);
  return memory as TypedArray;
}

function boundsOf(values: ArrayLike<number> & Iterable<number>): Bounds {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return { low, high };
}

function nested(values: TypedArray, shape: Shape): NestedArray | number {
  if (shape.length === 0) return values[0] as number;
  const [extent, ...rest] = shape as [number, ...number[]];
  if (rest.length === 0) return Array.from(values);
  const step = sizeOf(rest);
  return Array.from({ length: extent }, (_, i) => nested(values.subarray(i * step, (i + 1) * step), rest));
}

/** The same memory as another shape of as many elements, without history. @internal */
export function viewAs(tensor: Tensor, shape: Shape, offset = 0): Tensor {
  return new Tensor(tensor.handle.view(offset, shape));
}
