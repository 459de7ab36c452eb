import { binding } from './binding';
import type { NativeCudaStatus } from './binding';
import { probeCuda } from './cuda_probe';
import { SphereNetError, checkInteger, checkNumber, checkOneOf } from './errors';

export type DeviceName = 'cpu' | 'cuda';

/** What `device.cuda.status()` answers. `reason` says why CUDA cannot be used; it is empty where it can. */
export type CudaStatus = NativeCudaStatus;

/** How the GPU multiplies float32 tensors; `device.cuda.precision`. */
export type Precision = 'tf32' | 'float32';

const NAMES: readonly DeviceName[] = ['cpu', 'cuda'];
/** In the order of Precision in native/backend.h. */
const PRECISIONS: readonly Precision[] = ['tf32', 'float32'];
let currentDevice: DeviceName = 'cpu';
let cudaAnswer: CudaStatus | undefined;

/** The number that native/napi/context.h gives a device. */
export function deviceCode(name: DeviceName): number {
  return NAMES.indexOf(name);
}

export function checkDevice(op: string, argument: string, name: unknown): asserts name is DeviceName {
  checkOneOf(op, argument, name, NAMES);
  if (name === 'cuda' && !device.cuda.isAvailable()) {
    throw new SphereNetError(
      'SPHERENET_DEVICE',
      `${op}: device 'cuda' is not available: ${device.cuda.status().reason}`,
    );
  }
}

/** Where new tensors live, and what the machine has. */
export const device = {
  /**
   * Makes `name` the device of tensors created from now on.
   * @throws SphereNetError (SPHERENET_DEVICE) with the reason where CUDA is not available.
   */
  use(name: DeviceName): void {
    checkDevice('device.use', 'name', name);
    currentDevice = name;
  },

  /** The device of new tensors; 'cpu' at the start. */
  current(): DeviceName {
    return currentDevice;
  },

  cpu: {
    /** The SIMD path in use: 'avx512', 'avx2' or 'portable'. SPHERENET_SIMD forces one. */
    simd(): string {
      return binding.simd();
    },
    /** Threads that CPU kernels use, 1 to 256. At the start SPHERENET_THREADS, else the CPUs of this process. */
    get threads(): number {
      return binding.threads();
    },
    set threads(count: number) {
      checkInteger('device.cpu', 'threads', count, 1, 256);
      binding.setThreads(count);
    },
    /**
     * Measures the multiply-add peak of the SIMD path in use on `threads` threads: float32 operations per
     * second that never leave the registers. The ceiling that benchmarks hold kernels against. Blocks.
     * @param seconds how long to measure, default 0.2
     */
    fmaPeak(seconds = 0.2): number {
      checkNumber('device.cpu.fmaPeak', 'seconds', seconds, 'a number above 0', (value) => value > 0);
      return binding.fmaPeak(seconds);
    },
    /**
     * Measures how fast `threads` threads copy memory that no cache holds: bytes per second, read and written ones
     * together. The ceiling of ops that compute little. Takes 256 MiB while it measures, and blocks.
     * @param seconds how long to measure, default 0.2
     */
    memoryBandwidth(seconds = 0.2): number {
      checkNumber('device.cpu.memoryBandwidth', 'seconds', seconds, 'a number above 0', (value) => value > 0);
      return binding.memoryBandwidth(seconds);
    },
  },

  /**
   * The GPU: the first of those that CUDA_VISIBLE_DEVICES leaves. Kernels run asynchronously, so an error may be
   * noticed by a later call than the op that failed; with SPHERENET_CUDA_SYNC=1 in the environment every op waits for
   * the GPU and the error names the very op.
   */
  cuda: {
    /** Whether tensors can live on a GPU. `status()` says why not. */
    isAvailable(): boolean {
      return this.status().available;
    },
    /**
     * Driver, runtime and devices as CUDA sees them, and the reason where it cannot be used. The first call asks the
     * driver, where there is any sign of one, in a child process: a driver that crashes is then a reason like others.
     * SPHERENET_CUDA_PROBE=0 in the environment asks it in this process.
     */
    status(): CudaStatus {
      return (cudaAnswer ??= probeCuda());
    },
    /**
     * How convolutions and products multiply float32 tensors on the GPU: 'tf32' rounds the operands to 10 bits of
     * fraction, as the tensor cores take them; 'float32' keeps all 23 bits and is slower. Sums, norms and angles are
     * float32 either way. Holds for ops from now on; at the start SPHERENET_PRECISION, else 'tf32'.
     */
    get precision(): Precision {
      return PRECISIONS[binding.precision()] as Precision;
    },
    set precision(precision: Precision) {
      checkOneOf('device.cuda', 'precision', precision, PRECISIONS);
      binding.setPrecision(PRECISIONS.indexOf(precision));
    },
  },

  /** Waits until everything submitted so far has run. @throws what failed on the device since the last wait. */
  synchronize(): void {
    binding.synchronize();
  },

  /** Gives memory that the allocator keeps for reuse back to the system. */
  emptyCache(): void {
    binding.trim();
  },
};

const atTheStart = process.env['SPHERENET_PRECISION'];
if (atTheStart) {
  checkOneOf('SPHERENET_PRECISION', 'value', atTheStart, PRECISIONS);
  device.cuda.precision = atTheStart;
}
