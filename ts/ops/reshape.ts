import { describe, fail } from '../core/errors';
import { checkShape, formatShape, sizeOf } from '../core/shape';
import type { Shape } from '../core/shape';
import { record } from '../core/tape';
import { viewAs } from '../core/tensor';
import type { Tensor } from '../core/tensor';
import { checkTensor, isArray } from './check';

/**
 * The same elements in another shape; a view that shares the memory. One extent may be -1: it is worked out.
 * @throws where the shapes do not have the same number of elements.
 */
export function reshape(x: Tensor, shape: Shape): Tensor {
  checkTensor('reshape', 'x', x, { dtype: 'any' });
  if (!isArray(shape)) fail('reshape', 'shape', 'an array of extents', describe(shape));
  const holes = shape.filter((extent) => extent === -1).length;
  const known = shape.reduce((size, extent) => (extent === -1 ? size : size * extent), 1);
  const full = holes === 1 ? shape.map((extent) => (extent === -1 ? x.size / known : extent)) : [...shape];
  if (holes > 1 || sizeOf(full) !== x.size || full.some((extent) => !Number.isInteger(extent))) {
    fail('reshape', 'shape', `of ${x.size} elements, as ${formatShape(x.shape)} has`, formatShape(shape));
  }
  checkShape('reshape', full);
  const before = x.shape;
  return record('reshape', viewAs(x, full), [x], [], (dy) => [viewAs(dy, before)]);
}

/** [N, …] → [N, D]. */
export function flatten(x: Tensor): Tensor {
  checkTensor('flatten', 'x', x, { dtype: 'any' });
  if (x.rank < 1) fail('flatten', 'x', 'of at least 1 axis', x.describe());
  return reshape(x, [x.shape[0] as number, -1]);
}
