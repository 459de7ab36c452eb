import type { Tensor } from '../core/tensor';
import { Head } from './head';
import type { Module } from './module';
import { roleOf } from './parameter';

/**
 * The filters that regularisers such as {@link losses.orthogonality} are meant for: the weights of role `sphereKernel` of a
 * model's hidden layers, each `[O, …]`. Those of heads are left out; an ordinary network has none.
 *
 * ```ts
 * const regularizer = (model) => losses.total(nn.sphereKernels(model).map((w) => losses.orthogonality(w)), 1e-4);
 * ```
 */
export function sphereKernels(model: Module): Tensor[] {
  const heads = model.modules().filter((module) => module instanceof Head);
  const ofHeads = new Set(heads.flatMap((head) => head.parameters()));
  return model.parameters().filter((weight) => roleOf(weight) === 'sphereKernel' && !ofHeads.has(weight));
}
