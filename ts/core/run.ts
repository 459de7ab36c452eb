import { binding } from './binding';
import type { NativeOp, NativeTensor } from './binding';
import { nativeError } from './storage';
import { Tensor } from './tensor';

type Argument = Tensor | readonly (Tensor | null)[] | readonly number[] | number | boolean | object | null;

/** Submits a native op; arguments in the order of native/ops.h, outputs last. @internal */
export function run(op: NativeOp, ...args: readonly Argument[]): void {
  const native = args.map(toNative);
  try {
    binding.ops[op](...native);
  } catch (error) {
    throw nativeError(null, error);
  }
}

function toNative(argument: Argument): Exclude<Argument, Tensor> | NativeTensor {
  if (argument instanceof Tensor) return argument.handle.native;
  if (Array.isArray(argument) && argument.some((item) => item instanceof Tensor)) {
    return argument.map((item: Tensor | null) => item && item.handle.native);
  }
  return argument;
}
