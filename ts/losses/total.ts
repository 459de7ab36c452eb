import { fail } from '../core/errors';
import type { Tensor } from '../core/tensor';
import * as ops from '../ops';

/**
 * coefficient · the sum of some scalars, such as one regulariser for each layer.
 *
 * @param terms of one dtype and device
 * @returns a scalar; null where there are no terms
 */
export function total(terms: readonly Tensor[], coefficient = 1): Tensor | null {
  terms.forEach((term, i) => {
    if (term.size !== 1) fail('total', `terms[${i}]`, 'a scalar', term.describe());
  });
  const [first, ...rest] = terms;
  if (first === undefined) return null;
  return ops.scale(
    rest.reduce((sum, term) => ops.add(sum, term), first),
    coefficient,
  );
}
