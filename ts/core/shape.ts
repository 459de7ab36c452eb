import { describe, fail } from './errors';

/** Extents of a tensor, outermost first. A scalar has shape []. */
export type Shape = readonly number[];

export const MAX_RANK = 8;
/** Kernels index elements with 32 bits. */
export const MAX_ELEMENTS = 2 ** 31 - 1;

export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const extent of shape) size *= extent;
  return size;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((extent, axis) => extent === b[axis]);
}

export function formatShape(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}

/** Checks a shape given by the user: at most 8 axes, extents of at least 1, fewer than 2^31 elements. */
export function checkShape(op: string, shape: unknown, argument = 'shape'): asserts shape is Shape {
  if (!Array.isArray(shape) || shape.length > MAX_RANK) {
    fail(op, argument, `an array of at most ${MAX_RANK} extents`, describe(shape));
  }
  for (const extent of shape as unknown[]) {
    if (typeof extent !== 'number' || !Number.isInteger(extent) || extent < 1) {
      fail(op, argument, 'made of whole numbers of at least 1', describe(shape));
    }
  }
  if (sizeOf(shape as Shape) > MAX_ELEMENTS) {
    fail(
      op,
      argument,
      'of fewer than 2^31 elements',
      `${formatShape(shape as Shape)} with ${sizeOf(shape as Shape)}`,
    );
  }
}

/** The axis counted from 0; -1 is the last. */
export function checkAxis(op: string, argument: string, axis: unknown, rank: number): number {
  if (typeof axis !== 'number' || !Number.isInteger(axis) || axis < -rank || axis >= rank) {
    fail(op, argument, `a whole number from ${-rank} to ${rank - 1}`, describe(axis));
  }
  return axis < 0 ? axis + rank : axis;
}

/** NumPy's rule: aligned at the last axis, extents are equal or one of them is 1. */
export function broadcastShapes(op: string, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  const shape: number[] = new Array<number>(rank);
  for (let i = 1; i <= rank; ++i) {
    const x = a[a.length - i] ?? 1;
    const y = b[b.length - i] ?? 1;
    if (x !== y && x !== 1 && y !== 1) {
      fail(op, 'b', `of a shape that broadcasts with ${formatShape(a)}`, formatShape(b));
    }
    shape[rank - i] = Math.max(x, y);
  }
  return shape;
}
