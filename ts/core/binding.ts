import type { TypedArray } from './dtype';
import { loadAddon } from './loader';
import type { LoadedAddon } from './loader';

/** A place for a native tensor, named by its number. The garbage collector frees what is in it. */
export interface NativeTensor {
  readonly id: number;
}

/** An op of native/napi/ops_table.cc. */
export interface NativeCall {
  /** Takes so many numbers from the start of the frame; ./run.ts writes them. */
  readonly submit: (count: number) => void;
  /** For each argument the names of its fields in the order of the frame, null where it is no object. */
  readonly fields: readonly (readonly string[] | null)[];
}

export interface NativeCudaStatus {
  compiled: boolean;
  available: boolean;
  reason: string;
  driverVersion: number;
  runtimeVersion: number;
  devices: { name: string; computeCapability: string; memoryBytes: number }[];
}

/** What the allocator of one device has handed out and keeps. */
export interface DeviceMemory {
  /** Bytes in use, the allocator's rounding and the scratch memory of ops included. */
  bytes: number;
  /** Bytes kept by the allocator for reuse. */
  cachedBytes: number;
  /** Most bytes ever in use at once. */
  peakBytes: number;
}

export interface MemoryInfo {
  /** Live tensors, views and what the tape holds included. */
  tensors: number;
  /** Bytes of the memory behind them. */
  bytes: number;
  /** Bytes kept by the allocators for reuse. */
  cachedBytes: number;
  /** Most bytes ever in use at once; of several devices in use, the sum of their peaks. */
  peakBytes: number;
  /** Device by device. */
  devices: { cpu: DeviceMemory; cuda: DeviceMemory };
}

/** Names of the rows of native/napi/ops_table.cc. */
export type NativeOp =
  | 'fill' | 'cast' | 'copyRegion' | 'binary' | 'affine' | 'unary' | 'unaryBackward'
  | 'power' | 'powerBackward' | 'oneHot'
  | 'leakyRelu' | 'leakyReluBackward' | 'sumTo' | 'broadcastTo'
  | 'randomUniform' | 'randomNormal' | 'dropout' | 'randomCropFlip'
  | 'maxPool2d' | 'maxPool2dBackward' | 'avgPool2d' | 'avgPool2dBackward'
  | 'batchNorm' | 'batchNormBackward' | 'batchNormRelu' | 'batchNormReluBackward'
  | 'batchNormInference' | 'batchNormInferenceBackward'
  | 'conv2d' | 'conv2dDataGradient' | 'conv2dWeightGradient'
  | 'sphereConv2d' | 'sphereConv2dRescaled'
  | 'sphereConv2dAngularBackward' | 'sphereConv2dNormBackward' | 'sphereConv2dFilterBackward'
  | 'sphereConv2dDataGradient' | 'sphereConv2dWeightGradient'
  | 'magnitude' | 'magnitudeBackward' | 'meanNorm'
  | 'softmaxCrossEntropy' | 'softmaxCrossEntropyBackward' | 'angularSoftmax' | 'angularSoftmaxBackward'
  | 'sgdStep' | 'adamStep'; // prettier-ignore

/** Enums of native/ops.h. */
export const BinaryOp = { Add: 0, Sub: 1, Mul: 2, Div: 3 } as const;
export const UnaryOp = { Abs: 0, Square: 1, Sqrt: 2, Exp: 3, Log: 4, Tanh: 5, Softplus: 6, Acos: 7 } as const;
export const MarginKind = {
  Multiple: 0,
  ClampedMultiple: 1,
  DividedOthers: 2,
  AdditiveAngle: 3,
  AdditiveCosine: 4,
} as const;

/** What the addon exports. Private to ts/core and ts/ops; arguments of ops are in the order of native/ops.h. */
export interface Binding {
  TensorHandle: new () => NativeTensor;
  /** Fresh memory for an empty handle. In the frame: handle, device, dtype, rank, extents. */
  allocate(count: number): void;
  /** The memory of another for an empty handle: handle, the other, offset in elements, rank, extents. */
  view(count: number): void;
  /** Empties the handle of this number; a second call does nothing. */
  free(tensor: number): void;
  /** What holds the arguments of calls with a `count` from now on, which it replaces: see ./frame.ts. */
  frame(length: number): Float64Array;
  ops: Record<NativeOp, NativeCall>;
  /** Tensors are the numbers of their handles. Arrays have as many bytes; a Uint16Array holds the bits of 16-bit floats. */
  read<T extends TypedArray | Uint16Array>(tensor: number, into: T): Promise<T>;
  readSync<T extends TypedArray | Uint16Array>(tensor: number, into: T): T;
  write(tensor: number, from: TypedArray | Uint16Array): void;
  /** Between tensors of as many bytes on two devices. */
  copyAcross(from: number, to: number): void;
  memory(): MemoryInfo;
  trim(): void;
  synchronize(): void;
  cudaStatus(): NativeCudaStatus;
  precision(): number;
  setPrecision(precision: number): void;
  simd(): string;
  threads(): number;
  setThreads(threads: number): void;
  fmaPeak(seconds: number): number;
  memoryBandwidth(seconds: number): number;
}

/** The addon, and where it came from. */
export const loaded: LoadedAddon = loadAddon();

export const binding: Binding = loaded.exports as Binding;
