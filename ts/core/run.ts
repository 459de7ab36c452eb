import { binding } from './binding';
import type { NativeOp } from './binding';
import { frame } from './frame';
import { nativeError } from './storage';
import { Tensor } from './tensor';

type Argument = Tensor | readonly (Tensor | null)[] | readonly number[] | number | boolean | object | null;

/** Submits a native op; arguments in the order of native/ops.h, outputs last. @internal */
export function run(op: NativeOp, ...args: readonly Argument[]): void {
  const { submit, fields } = binding.ops[op];
  frame.begin();
  for (let i = 0; i < args.length; ++i) {
    const argument = args[i];
    if (argument instanceof Tensor) frame.put(argument.handle.id);
    else if (Array.isArray(argument)) putList(op, argument);
    else if (typeof argument === 'object' && argument !== null) putFields(op, argument, fields[i] ?? []);
    else frame.put(numberOf(op, argument));
  }
  try {
    submit(frame.count);
  } catch (error) {
    throw nativeError(null, error);
  }
}

function putList(op: NativeOp, list: readonly unknown[]): void {
  frame.put(list.length);
  for (const item of list) frame.put(item instanceof Tensor ? item.handle.id : numberOf(op, item));
}

function putFields(op: NativeOp, values: object, names: readonly string[]): void {
  for (let i = 0; i < names.length; ++i) {
    frame.put(numberOf(op, (values as Record<string, unknown>)[names[i] as string]));
  }
}

/** null stands for a tensor that is left out, whose number is 0. */
function numberOf(op: NativeOp, value: unknown): number {
  if (typeof value === 'number') return value;
  if (value === null || value === false) return 0;
  if (value === true) return 1;
  throw nativeError(null, new Error(`${op}: an argument is of a kind that no op takes`));
}
