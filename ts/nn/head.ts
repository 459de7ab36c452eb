import type { Tensor } from '../core/tensor';
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
