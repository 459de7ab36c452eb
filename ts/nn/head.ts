import { fail } from '../core/errors';
import type { Tensor } from '../core/tensor';
import { checkTensor } from '../ops/check';
import { Module } from './module';

/**
 * The last part of a classifier: turns features `[N, D]` into scores of the classes, and features and labels into
 * the loss to train by.
 */
export abstract class Head extends Module {
  abstract readonly features: number;
  abstract readonly classes: number;

  /** Scores `[N, classes]` to predict from: the largest is the prediction. */
  abstract logits(features: Tensor): Tensor;

  /** Scalar mean over the batch; labels are int32 `[N]` in [0, classes). */
  abstract loss(features: Tensor, labels: Tensor): Tensor;

  forward(features: Tensor): Tensor {
    return this.logits(features);
  }
}

/** Checks that features are those that a head was made for. */
export function checkFeatures({ features, constructor }: Head, x: unknown): asserts x is Tensor {
  const owner = constructor.name;
  checkTensor(owner, 'features', x);
  if (x.rank !== 2 || x.shape[1] !== features)
    fail(owner, 'features', `of shape [N, ${features}], which the head was made for`, x.describe());
}
