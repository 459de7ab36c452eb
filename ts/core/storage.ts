import { binding } from './binding';
import type { NativeTensor } from './binding';
import { deviceCode } from './device';
import type { DeviceName } from './device';
import { dtypeCode } from './dtype';
import type { DType } from './dtype';
import { SphereNetError } from './errors';
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

/**
 * A counted reference to native memory. Tensors and the tape hold it; it is freed when the last of them lets go, or
 * by the garbage collector when nobody refers to it any more.
 */
export class Handle {
  #native: NativeTensor;
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
    const native = translated(`tensor ${formatShape(shape)}`, () => {
      return new binding.TensorHandle(deviceCode(device), dtypeCode(dtype), shape);
    });
    return new Handle(native, shape, dtype, device, {
      handles: 0,
      elements: sizeOf(shape),
      version: 0,
      bounds: null,
    });
  }

  /** The same memory from `offset` elements on, as another shape. */
  view(offset: number, shape: Shape): Handle {
    const native = new binding.TensorHandle(this.#native, offset, shape);
    return new Handle(native, shape, this.dtype, this.device, this.block);
  }

  get native(): NativeTensor {
    return this.#native;
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
    this.#native.free();
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
