// Ops that move blocks of a tensor: slice, pad and concat are each other's gradients.
import { checkInteger, describe, fail } from '../core/errors';
import { run } from '../core/run';
import { checkAxis, formatShape, sameShape, sizeOf } from '../core/shape';
import type { Shape } from '../core/shape';
import { record } from '../core/tape';
import { allocateLike, viewAs } from '../core/tensor';
import type { Tensor } from '../core/tensor';
import { checkResult, checkTensor, isArray } from './check';

/** The block of `size` that starts at `begin`: a view where it is contiguous, else a copy. */
function cut(x: Tensor, begin: Shape, size: Shape): Tensor {
  const lastPartial = x.shape.reduce((last, extent, axis) => (size[axis] === extent ? last : axis), 0);
  const contiguous = size.slice(0, lastPartial).every((extent) => extent === 1);
  if (contiguous) {
    const offset = begin.reduce((sum, start, axis) => sum + start * sizeOf(x.shape.slice(axis + 1)), 0);
    return viewAs(x, size, offset);
  }
  const y = allocateLike(x, size);
  run('copyRegion', begin, size.map(() => 0), size, x, y); // prettier-ignore
  return y;
}

/** x inside a tensor of `shape` that is `value` elsewhere. */
function embed(x: Tensor, begin: Shape, shape: Shape, value: number): Tensor {
  const y = allocateLike(x, shape);
  if (!sameShape(x.shape, shape)) run('fill', value, y);
  run('copyRegion', x.shape.map(() => 0), begin, x.shape, x, y); // prettier-ignore
  return y;
}

/**
 * The block of extents `size` that starts at `begin`, one number per axis each. Where it is contiguous (whole inner
 * axes) it shares x's memory.
 */
export function slice(x: Tensor, begin: Shape, size: Shape): Tensor {
  checkTensor('slice', 'x', x, { dtype: 'any' });
  for (const [argument, list] of [
    ['begin', begin],
    ['size', size],
  ] as const) {
    // prettier-ignore
    if (!Array.isArray(list) || list.length !== x.rank) {
      fail('slice', argument, `an array of ${x.rank} numbers`, describe(list));
    }
  }
  x.shape.forEach((extent, axis) => {
    checkInteger('slice', `begin[${axis}]`, begin[axis], 0, extent - 1);
    checkInteger('slice', `size[${axis}]`, size[axis], 1, extent - begin[axis]);
  });
  const { shape } = x;
  return record('slice', cut(x, begin, [...size]), [x], [], (dy) => [embed(dy, begin, shape, 0)]);
}

/** x with `[before, after]` elements of `value` (default 0) added along each axis. */
export function pad(x: Tensor, padding: readonly (readonly [number, number])[], value = 0): Tensor {
  checkTensor('pad', 'x', x, { dtype: 'any' });
  if (!isArray(padding) || padding.length !== x.rank) {
    fail('pad', 'padding', `an array of ${x.rank} pairs [before, after]`, describe(padding));
  }
  padding.forEach((pair, axis) => {
    if (!Array.isArray(pair)) fail('pad', `padding[${axis}]`, 'a pair [before, after]', describe(pair));
    checkInteger('pad', `padding[${axis}][0]`, pair[0], 0);
    checkInteger('pad', `padding[${axis}][1]`, pair[1], 0);
  });
  if (typeof value !== 'number') fail('pad', 'value', 'a number', describe(value));
  const begin = padding.map(([before]) => before);
  const shape = x.shape.map((extent, axis) => {
    const [before, after] = padding[axis] as readonly [number, number];
    return before + extent + after;
  });
  checkResult('pad', shape);
  const inner = x.shape;
  return record('pad', embed(x, begin, shape, value), [x], [], (dy) => [cut(dy, begin, inner)]);
}

/** Tensors one after the other along an axis; their other extents agree. */
export function concat(tensors: readonly Tensor[], axis: number): Tensor {
  const first = Array.isArray(tensors) ? (tensors as readonly Tensor[])[0] : undefined;
  if (!first) fail('concat', 'tensors', 'an array of at least one tensor', describe(tensors));
  checkTensor('concat', 'tensors[0]', first, { dtype: 'any' });
  const along = checkAxis('concat', 'axis', axis, first.rank);
  let total = 0;
  const starts = tensors.map((tensor, i) => {
    checkTensor('concat', `tensors[${i}]`, tensor, { dtype: first.dtype, like: first });
    const fits =
      tensor.rank === first.rank && tensor.shape.every((e, a) => a === along || e === first.shape[a]);
    if (!fits) {
      fail('concat', `tensors[${i}]`, `${formatShape(first.shape)} but for axis ${along}`, tensor.describe());
    }
    const begin = first.shape.map((_, a) => (a === along ? total : 0));
    total += tensor.shape[along] as number;
    return begin;
  });
  const shape = first.shape.map((extent, a) => (a === along ? total : extent));
  checkResult('concat', shape);
  const y = allocateLike(first, shape);
  tensors.forEach((tensor, i) => {
    run('copyRegion', shape.map(() => 0), starts[i] as Shape, tensor.shape, tensor, y); // prettier-ignore
  });
  const shapes = tensors.map((tensor) => tensor.shape);
  return record('concat', y, tensors, [], (dy, _, needs) =>
    shapes.map((part, i) => (needs[i] ? cut(dy, starts[i] as Shape, part) : null)),
  );
}
