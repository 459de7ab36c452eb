import type { TypedArray } from '../core/dtype';
import { describe, fail } from '../core/errors';
import { noGrad } from '../core/scope';
import type { Tensor } from '../core/tensor';
import type { Head, Module } from '../nn';

/** Images and their classes. The tensors belong to the source and live at least until the next batch is asked for. */
export interface Batch {
  /** `[N, H, W, C]`, or whatever the model takes; as many rows as there are labels. */
  readonly images: Tensor;
  /** int32 `[N]` */
  readonly labels: Tensor;
}

/** Batches that can be gone through again and again, `length` of them each time: a data loader, or an array. */
export type BatchSource = (AsyncIterable<Batch> | Iterable<Batch>) & { readonly length: number };

/** What can be trained and evaluated; {@link models.Classifier} is one. */
export interface ClassificationModel extends Module {
  readonly head: Head;
  /** Images to the features that the head takes. */
  embed(images: Tensor): Tensor;
}

/** What a batch came to, read back from the device. */
export interface BatchResult {
  readonly loss: number;
  /** What was added to the loss for the backward pass; null where nothing was. */
  readonly regularization: number | null;
  /** `[N, classes]`, row by row. */
  readonly logits: TypedArray;
  readonly labels: TypedArray;
  readonly classes: number;
}

/** Loss and scores of a batch from one pass through the network; the scores are not recorded for backward(). */
export function forwardBatch(
  model: ClassificationModel,
  images: Tensor,
  labels: Tensor,
): { loss: Tensor; logits: Tensor } {
  const features = model.embed(images);
  const loss = model.head.loss(features, labels);
  return { loss, logits: noGrad(() => model.head.logits(features)) };
}

/**
 * Asks for loss, regulariser, logits and labels of a batch that the device may still be busy with, and frees all but the
 * labels when they have come. The labels may be disposed as soon as this returns.
 */
export async function readBatch(
  { loss, logits, penalty = null }: { loss: Tensor; logits: Tensor; penalty?: Tensor | null },
  labels: Tensor,
): Promise<BatchResult> {
  try {
    const classes = logits.shape.at(-1) as number;
    const [value, regularization, scores, targets] = await Promise.all([
      loss.item(),
      penalty?.item() ?? null,
      logits.data(),
      labels.data(),
    ]);
    return { loss: value, regularization, logits: scores, labels: targets, classes };
  } finally {
    loss.dispose();
    logits.dispose();
    penalty?.dispose();
  }
}

/**
 * Launches each batch and hands over its result one batch later, so that JavaScript prepares a batch while the
 * device computes the one before. Whatever happens, the last launched batch is waited for and freed.
 *
 * @param launch submits the work of a batch and returns at once with a promise of its result
 */
export async function* pipelined<Result>(
  source: AsyncIterable<Batch> | Iterable<Batch>,
  launch: (batch: Batch) => Promise<Result>,
): AsyncGenerator<Result, void, undefined> {
  let pending: Promise<Result> | null = null;
  try {
    for await (const batch of source) {
      const previous: Promise<Result> | null = pending;
      pending = launch(batch);
      // Failures are met where it is awaited; until then they must not count as unhandled.
      pending.catch(() => undefined);
      if (previous !== null) yield await previous;
    }
    if (pending !== null) {
      const last = pending;
      pending = null;
      yield await last;
    }
  } finally {
    await pending?.catch(() => undefined);
  }
}

/** The first `count` batches, or fewer where the signal is aborted before. */
export async function* firstOf(
  source: BatchSource,
  count: number,
  signal?: AbortSignal,
): AsyncGenerator<Batch> {
  let taken = 0;
  for await (const batch of source) {
    if (signal?.aborted === true) return;
    yield batch;
    if (++taken >= count) return;
  }
}

export function checkSource(owner: string, argument: string, source: unknown): void {
  const given = typeof source === 'object' && source !== null;
  const iterable = given && (Symbol.asyncIterator in source || Symbol.iterator in source);
  if (!iterable || !('length' in source) || typeof source.length !== 'number') {
    fail(owner, argument, 'an iterable of { images, labels } with a length', describe(source));
  }
}

export function checkModel(owner: string, model: unknown): void {
  if (typeof model !== 'object' || model === null || !('embed' in model) || !('head' in model)) {
    fail(owner, 'model', 'a module with embed() and a head, such as models.Classifier', describe(model));
  }
}

/** Notes which modules are in training mode; the function returned puts all back as it was. */
export function rememberModes(model: Module): () => void {
  const modes = model.modules().map((module) => [module, module.training] as const);
  return () => {
    for (const [module, training] of modes) module.training = training;
  };
}
