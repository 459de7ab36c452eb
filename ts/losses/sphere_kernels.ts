import { fail } from '../core/errors';
import type { Tensor } from '../core/tensor';
import { Head } from '../nn/head';
import type { Module } from '../nn/module';
import { roleOf } from '../nn/parameter';
import * as ops from '../ops';

/**
 * The filters that regularisers such as {@link orthogonality} are meant for: the weights of role `sphereKernel` of a
 * model's hidden layers, each `[O, …]`. Those of heads are left out; an ordinary network has none.
 *
 * ```ts
 * const regularizer = (model) => losses.total(losses.sphereKernels(model).map((w) => losses.orthogonality(w)), 1e-4);
 * ```
 */
export function sphereKernels(model: Module): Tensor[] {
  const heads = model.modules().filter((module) => module instanceof Head);
  const ofHeads = new Set(heads.flatMap((head) => head.parameters()));
  return model.parameters().filter((weight) => roleOf(weight) === 'sphereKernel' && !ofHeads.has(weight));
}

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
