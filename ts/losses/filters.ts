// What the regularisers of filters have in common.
import { tensor } from '../core/create';
import { fail } from '../core/errors';
import type { FloatDType } from '../core/dtype';
import type { Tensor } from '../core/tensor';
import * as ops from '../ops';
import { widened } from '../ops/cast';
import { checkResult, checkTensor } from '../ops/check';

// Under the root of a filter's length: a filter of zeros has no direction, and stays zero.
const EPSILON = 1e-8;

/** Filters [O, …] as rows [O, D], float32 where they have 16 bits, of which at least `least` are needed. */
export function filterRows(op: string, weight: Tensor, least = 1): Tensor {
  checkTensor(op, 'weight', weight);
  if (weight.rank < 2) fail(op, 'weight', 'of at least 2 axes [O, …]', weight.describe());
  const filters = weight.shape[0] as number;
  if (filters < least) fail(op, 'weight', `of at least ${least} filters`, weight.describe());
  checkResult(op, [filters, filters]);
  return ops.reshape(widened(weight), [filters, -1]);
}

/** Each row divided by its length √(Σw² + 1e-8). */
export function unitRows(rows: Tensor): Tensor {
  const squares = ops.sum(ops.square(rows), { axes: 1, keepDims: true });
  return ops.div(rows, ops.sqrt(ops.add(squares, EPSILON)));
}

/** The matrix of all inner products of rows. */
export function gram(rows: Tensor): Tensor {
  return ops.linear(rows, rows);
}

/** The identity matrix of a Gram matrix of rows. */
export function identityOf(rows: Tensor): Tensor {
  const [filters] = rows.shape as [number, number];
  const places = Int32Array.from({ length: filters }, (_, i) => i);
  return ops.oneHot(tensor(places, { device: rows.device }), filters, rows.dtype as FloatDType);
}
