import { describe, fail } from '../core/errors';
import type { Tensor } from '../core/tensor';
import { Head, Module } from '../nn';

/**
 * A network that turns images into features, and a head that turns features into scores and a loss: what the Trainer
 * trains.
 *
 * ```ts
 * const model = new models.Classifier(net, new nn.AngularHead(256, 10, { operator: 'linear', margin: 4 }));
 * ```
 */
export class Classifier<Features extends Module = Module> extends Module {
  readonly features: Features;
  readonly head: Head;

  constructor(features: Features, head: Head) {
    super();
    if (!(features instanceof Module)) fail('Classifier', 'features', 'a Module', describe(features));
    if (!(head instanceof Head)) fail('Classifier', 'head', 'a Head', describe(head));
    this.features = features;
    this.head = head;
  }

  /** The features `[N, D]` that the head sees. */
  embed(images: Tensor): Tensor {
    return this.features.forward(images);
  }

  /** Scores `[N, classes]`; the largest is the prediction. */
  forward(images: Tensor): Tensor {
    return this.head.logits(this.embed(images));
  }

  /** Scalar mean over the batch; labels are int32 `[N]`. */
  loss(images: Tensor, labels: Tensor): Tensor {
    return this.head.loss(this.embed(images), labels);
  }
}
