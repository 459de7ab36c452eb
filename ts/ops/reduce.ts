import { isHalf } from '../core/dtype';
import { describe, fail } from '../core/errors';
import { run } from '../core/run';
import { checkAxis, sizeOf } from '../core/shape';
import type { Shape } from '../core/shape';
import { record } from '../core/tape';
import { allocateLike, viewAs } from '../core/tensor';
import type { Tensor } from '../core/tensor';
import { scale } from './arithmetic';
import { cast } from './cast';
import { checkTensor } from './check';

export interface ReduceOptions {
  /** Which axes to reduce, counted from 0 or, negative, from the last. Default: all. */
  axes?: number | readonly number[];
  /** Keep the reduced axes with extent 1. Default false. */
  keepDims?: boolean;
}

/** The shape with reduced axes of extent 1, and the one without them. */
function reducedShapes(op: string, x: Tensor, axes: ReduceOptions['axes']): { kept: Shape; dropped: Shape } {
  if (axes !== undefined && typeof axes !== 'number' && !Array.isArray(axes)) {
    fail(op, 'axes', 'a whole number or an array of them', describe(axes));
  }
  const listed = axes === undefined ? x.shape.map((_, axis) => axis) : [axes].flat();
  const reduced = new Set(listed.map((axis) => checkAxis(op, 'axes', axis, x.rank)));
  return {
    kept: x.shape.map((extent, axis) => (reduced.has(axis) ? 1 : extent)),
    dropped: x.shape.filter((_, axis) => !reduced.has(axis)),
  };
}

/** The sum over some axes, or over all: then a scalar. Adds up in float64, in an order that never changes. */
export function sum(x: Tensor, options: ReduceOptions = {}): Tensor {
  checkTensor('sum', 'x', x);
  const { kept, dropped } = reducedShapes('sum', x, options.axes);
  const total = allocateLike(x, kept);
  run('sumTo', x, total);
  const { shape } = x;
  const y = options.keepDims ? total : viewAs(total, dropped);
  return record('sum', y, [x], [], (dy) => {
    const dx = allocateLike(dy, shape);
    run('broadcastTo', viewAs(dy, kept), dx);
    return [dx];
  });
}

/** The mean over some axes, or over all: then a scalar. */
export function mean(x: Tensor, options: ReduceOptions = {}): Tensor {
  checkTensor('mean', 'x', x);
  const { dropped } = reducedShapes('mean', x, options.axes);
  // The sum alone may be beyond what 16 bits hold.
  if (isHalf(x.dtype)) return cast(mean(cast(x, 'float32'), options), x.dtype);
  return scale(sum(x, options), sizeOf(dropped) / x.size);
}
