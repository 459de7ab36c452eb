import { binding } from './binding';
import type { NativeTensor } from './binding';
import { deviceCode } from './device';
import type { DeviceName } from './device';
import { dtypeCode } from './dtype';
import type { DType } from './dtype';
import { SphereNetError } from './errors';
import { frame } from './frame';
import { formatShape, sizeOf } from './shape';
import type { Shape } from './shape';

/** What a tensor and its views have in common. */
interface Block {
  /** Handles into it. */
  handles: number;
  readonly elements: number;
  /** Raised by every op that overwrites it, so that the tape notices. */
  version: number;
  /** Of the whole numbers in it, where they are known; {@link Handle.noteWritten}. */
  bounds: Bounds | null;
}

/** Smallest and largest of whole numbers, kept so that labels can be checked without asking the device. */
export interface Bounds {
  readonly low: number;
  readonly high: number;
}

/** A number that no native tensor has; the addon says what is wrong. */
const FREED = -1;

/** Empty handles for the next tensors: to make new ones is what costs most about a small tensor. */
const spare: NativeTensor[] = [];
/** More than the tensors of a large step; the garbage collector has the rest. */
const MOST_SPARE = 8192;

/**
 * A counted reference to native memory. Tensors and the tape hold it; it is freed when the last of them lets go, or
 * by the garbage collector when nobody refers to it any more.
 */
export class Handle {
  #native: NativeTensor | null;
  #references = 1;

  private constructor(
    native: NativeTensor,
    readonly shape: Shape,
    readonly dtype: DType,
    readonly device: DeviceName,
    private readonly block: Block,
  ) {
    this.#native = native;
    ++block.handles;
  }

  /** Fresh, uninitialised memory. @throws SphereNetError (SPHERENET_OUT_OF_MEMORY). */
  static allocate(shape: Shape, dtype: DType, device: DeviceName): Handle {
    const native = spare.pop() ?? new binding.TensorHandle();
    frame.begin().put(native.id).put(deviceCode(device)).put(dtypeCode(dtype)).putList(shape);
    try {
      binding.allocate(frame.count);
    } catch (error) {
      spare.push(native);
      throw nativeError(`tensor ${formatShape(shape)}`, error);
    }
    return new Handle(native, shape, dtype, device, {
      handles: 0,
      elements: sizeOf(shape),
      version: 0,
      bounds: null,
    });
  }

  /** The same memory from `offset` elements on, as another shape. */
  view(offset: number, shape: Shape): Handle {
    const base = this.id;
    const native = spare.pop() ?? new binding.TensorHandle();
    frame.begin().put(native.id).put(base).put(offset).putList(shape);
    try {
      binding.view(frame.count);
    } catch (error) {
      spare.push(native);
      throw nativeError('view', error);
    }
    return new Handle(native, shape, this.dtype, this.device, this.block);
  }

  /** The number of its native tensor, which lives as long as this handle: to be read right before the call. */
  get id(): number {
    return this.#native ? this.#native.id : FREED;
  }

  get size(): number {
    return sizeOf(this.shape);
  }

  get version(): number {
    return this.block.version;
  }

  /** Whether one holder of one handle owns the memory, so that overwriting it surprises nobody. */
  get isExclusive(): boolean {
    return this.#references === 1 && this.block.handles === 1;
  }

  markWritten(): void {
    ++this.block.version;
  }

  /** What lies within holds for all views of the memory: they may be slices of what is known. */
  get bounds(): Bounds | null {
    return this.block.bounds;
  }

  /** All elements of this handle were overwritten with numbers in `written`, null where that is unknown. */
  noteWritten(written: Bounds | null): void {
    const { bounds: before, elements } = this.block;
    const rest = this.size < elements ? before : written;
    this.block.bounds = written &&
      rest && {
        low: Math.min(written.low, rest.low),
        high: Math.max(written.high, rest.high),
      };
  }

  retain(): this {
    ++this.#references;
    return this;
  }

  release(): void {
    if (--this.#references > 0) return;
    --this.block.handles;
    const native = this.#native;
    if (!native) return;
    this.#native = null;
    binding.free(native.id);
    if (spare.length < MOST_SPARE) spare.push(native);
  }
}

/** Runs a native call; its errors come out as SphereNetError, with `what` in front. */
export function translated<T>(what: string | null, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw nativeError(what, error);
  }
}

/** @param what is null where the message already names the op */
export function nativeError(what: string | null, error: unknown): SphereNetError {
  const { message, code } = error as Error & { code?: string };
  const kind = code === 'SPHERENET_OUT_OF_MEMORY' ? 'SPHERENET_OUT_OF_MEMORY' : 'SPHERENET_NATIVE';
  return new SphereNetError(kind, what === null ? message : `${what}: ${message}`, { cause: error });
}
