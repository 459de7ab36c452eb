/**
 * SphereNet for Node: hyperspherical networks (Deep Hyperspherical Learning, NIPS 2017) trained by native kernels.
 * This page is the whole public surface.
 *
 * @packageDocumentation
 */
export { Tensor } from './core/tensor';
export type { NestedArray } from './core/tensor';
export { tensor, zeros, ones, full } from './core/create';
export type { TensorOptions } from './core/create';
export type { DType, FloatDType, HalfDType, HostArrays, TypedArray } from './core/dtype';
export type { Shape } from './core/shape';
export { scope, keep, noGrad, enableGrad, isGradEnabled } from './core/scope';
export { memory } from './core/memory';
export type { DeviceMemory, MemoryInfo } from './core/memory';
export { device } from './core/device';
export type { CudaStatus, DeviceName, Precision } from './core/device';
export { random, Generator } from './core/random';
export type { RandomOptions } from './core/random';
export { SphereNetError } from './core/errors';
export type { ErrorCode } from './core/errors';

export * as ops from './ops';
export * as losses from './losses';
export * as nn from './nn';
export * as optim from './optim';
export * as models from './models';
export * as data from './data';
export { Trainer, TrainingDiverged, evaluate, presets } from './train';
export type {
  Batch,
  BatchSource,
  ClassificationModel,
  EpochRecord,
  Evaluation,
  Progress,
  StepRecord,
  TrainerOptions,
  TrainingHistory,
  TrainingPreset,
} from './train';
