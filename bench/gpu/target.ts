// The device under test, and the number formats it is tested in.
import { device, ops, scope, tensor } from 'spherenet';
import type { DeviceName, FloatDType, HalfDType } from 'spherenet';

/** What tensors are stored in, and how products of float32 tensors are made. */
export interface Variant {
  readonly name: VariantName;
  /** Of activations. */
  readonly dtype: Storage;
  /** Of everything else: what 16-bit activations go with is float32. */
  readonly parameters: FloatDType;
  readonly precision: 'tf32' | 'float32';
}

export type Storage = FloatDType | HalfDType;
export type VariantName = 'float64' | 'float32' | 'tf32' | 'bfloat16' | 'float16';

export const VARIANTS: Readonly<Record<VariantName, Variant>> = {
  float64: { name: 'float64', dtype: 'float64', parameters: 'float64', precision: 'float32' },
  float32: { name: 'float32', dtype: 'float32', parameters: 'float32', precision: 'float32' },
  tf32: { name: 'tf32', dtype: 'float32', parameters: 'float32', precision: 'tf32' },
  bfloat16: { name: 'bfloat16', dtype: 'bfloat16', parameters: 'float32', precision: 'tf32' },
  float16: { name: 'float16', dtype: 'float16', parameters: 'float32', precision: 'tf32' },
};

/** Everything runs on the GPU; SPHERENET_GPU_BENCH_DEVICE=cpu tries the program itself without one. */
export const TARGET: DeviceName = process.env['SPHERENET_GPU_BENCH_DEVICE'] === 'cpu' ? 'cpu' : 'cuda';

/** SPHERENET_GPU_BENCH_SMALL=1: shapes so small that an emulated or instrumented device can do them. */
export const SMALL = process.env['SPHERENET_GPU_BENCH_SMALL'] === '1';

/** Why the device under test cannot be used; empty where it can. */
export function whyNot(): string {
  if (TARGET === 'cpu') return '';
  const { compiled, available, reason } = device.cuda.status();
  if (!compiled)
    return 'this build of the addon has no CUDA: build it where nvcc is, with npm run gpu:bundle';
  return available ? '' : `CUDA cannot be used: ${reason}`;
}

/** How the device multiplies float32 tensors from now on. */
export function usePrecision(precision: Variant['precision']): void {
  if (TARGET === 'cuda') device.cuda.precision = precision;
}

/** Whether the device still computes: after a kernel's error it does not, for this process. Waits for it. */
export function isAlive(): boolean {
  try {
    return scope(() => ops.square(tensor([2], { device: TARGET })).itemSync()) === 4;
  } catch {
    return false;
  }
}
