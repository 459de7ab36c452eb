import { tensor } from '../core/create';
import { hostArray } from '../core/dtype';
import { fail } from '../core/errors';
import type { Tensor } from '../core/tensor';
import { linear, reshape, square, sub, sum } from '../ops';
import { widened } from '../ops/cast';
import { checkResult, checkTensor } from '../ops/check';

/**
 * How far filters are from orthonormal (Deep Hyperspherical Learning, section 2.4): ‖WᵀW − I‖²_F where column i of W is
 * filter i, flattened. The authors add 1e-4 of it per layer. With more filters than dimensions it cannot reach 0.
 *
 * @param weight [O, …] of at least 2 axes; computed with as float32 where it has 16 bits, and so is the loss
 * @returns a scalar
 */
export function orthogonality(weight: Tensor): Tensor {
  checkTensor('orthogonality', 'weight', weight);
  if (weight.rank < 2) fail('orthogonality', 'weight', 'of at least 2 axes [O, …]', weight.describe());
  const filters = weight.shape[0] as number;
  checkResult('orthogonality', [filters, filters]);
  const rows = reshape(widened(weight), [filters, -1]);
  return sum(square(sub(linear(rows, rows), identityLike(rows))));
}

function identityLike(rows: Tensor): Tensor {
  const [n] = rows.shape as [number, number];
  const values = hostArray(rows.dtype, n * n);
  for (let i = 0; i < n; ++i) values[i * (n + 1)] = 1;
  return tensor(values, { shape: [n, n], device: rows.device });
}
