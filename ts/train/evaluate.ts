import { SphereNetError } from '../core/errors';
import { noGrad, scope } from '../core/scope';
import { checkModel, checkSource, forwardBatch, pipelined, readBatch, rememberModes } from './batches';
import type { BatchSource, ClassificationModel } from './batches';
import { argmaxRows, ConfusionMatrix, WeightedMean } from './metrics';

/** How a model does on a set of images. */
export interface Evaluation {
  /** Mean over the images of the loss that the model trains by, an angular head's margin included. */
  loss: number;
  /** Share of the images whose largest score is that of their label. */
  accuracy: number;
  /** How often a label was predicted as what: `confusion[label][prediction]`. */
  confusion: number[][];
  /** The predicted class of each image, in the order of the source. */
  predictions: Int32Array;
}

export interface EvaluateOptions {
  /** Stops early; `evaluate` then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/**
 * Goes once through a source in inference mode and without recording. The model's modes are afterwards as before,
 * each layer's own.
 *
 * @throws SphereNetError where the source has no batches
 */
export async function evaluate(
  model: ClassificationModel,
  source: BatchSource,
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  checkModel('evaluate', model);
  checkSource('evaluate', 'source', source);
  const losses = new WeightedMean();
  const predictions: number[] = [];
  let confusion: ConfusionMatrix | null = null;
  const restoreModes = rememberModes(model);
  model.eval();
  try {
    const results = pipelined(source, ({ images, labels }) => {
      return readBatch(
        noGrad(() => scope(() => forwardBatch(model, images, labels))),
        labels,
      );
    });
    for await (const result of results) {
      options.signal?.throwIfAborted();
      const predicted = argmaxRows(result.logits, result.classes);
      confusion ??= new ConfusionMatrix(result.classes);
      confusion.add(predicted, result.labels);
      losses.add(result.loss, predicted.length);
      for (const prediction of predicted) predictions.push(prediction);
    }
  } finally {
    restoreModes();
  }
  if (confusion === null) {
    throw new SphereNetError(
      'SPHERENET_ARGUMENT',
      'evaluate: source must yield at least one batch, got none',
    );
  }
  const { accuracy, counts } = confusion;
  return { loss: losses.mean, accuracy, confusion: counts, predictions: Int32Array.from(predictions) };
}
