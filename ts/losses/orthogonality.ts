import type { Tensor } from '../core/tensor';
import { square, sub, sum } from '../ops';
import { filterRows, gram, identityOf, unitRows } from './filters';

export interface OrthogonalityOptions {
  /** Measures unit filters, so that lengths do not count; false by default, as in the SphereNet authors' code. */
  normalized?: boolean | undefined;
}

/**
 * How far filters are from orthonormal (Deep Hyperspherical Learning, section 2.4): ‖WᵀW − I‖²_F where column i of W is
 * filter i, flattened. The authors add 1e-4 of it per layer, on filters as they are, which pulls their lengths to 1 too.
 * `normalized` divides each filter by √(Σw² + 1e-8) first: then only angles count, as in their later code for
 * decoupled networks, which adds 5e-6 of it. With more filters n than dimensions d it cannot reach 0: raw it is at least n − d, normalised
 * n²/d − n.
 *
 * @param weight [O, …] of at least 2 axes; computed with as float32 where it has 16 bits, and so is the loss
 * @returns a scalar
 */
export function orthogonality(weight: Tensor, options: OrthogonalityOptions = {}): Tensor {
  const raw = filterRows('orthogonality', weight);
  const rows = options.normalized === true ? unitRows(raw) : raw;
  return sum(square(sub(gram(rows), identityOf(rows))));
}
