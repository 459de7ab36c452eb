import { checkInteger, describe, fail } from '../core/errors';
import type { Generator } from '../core/random';
import type { Tensor } from '../core/tensor';
import * as ops from '../ops';
import { imageSize } from './dataset';
import type { ImageDataset } from './dataset';
import { disposeBatch, ImageBatches } from './image_batches';
import type { BatchOptions, ImageBatch, Pass } from './image_batches';

export interface LoaderOptions extends BatchOptions {
  /** Changes the images at random, anew each time through; not done by default. For training only. */
  augment?: Augmentation | undefined;
}

/** How the images of a loader are changed, as {@link ops.randomCropFlip} does; both on the bytes, on the device. */
export interface Augmentation {
  /** Moves each image by up to this many pixels in each direction; what comes in at the sides is 0. 4 by default. */
  padding?: number | undefined;
  /** Mirrors half of the images, left to right; true by default. */
  flip?: boolean | undefined;
}

/**
 * Goes through a dataset in batches, as often as it is iterated; `for` and `for await` both do. A batch's tensors live
 * until the next batch is asked for or the loop is left, outside any scope; what is computed from them is not affected.
 *
 * ```ts
 * for (const { images, labels } of data.loader(train, { batchSize: 128, shuffle: true, seed: 1 })) { … }
 * ```
 *
 * @throws SphereNetError for an empty dataset, or naming the option that is out of range
 */
export function loader(source: ImageDataset, options: LoaderOptions): Loader {
  return new Loader(source, options);
}

/** What {@link loader} makes. */
export class Loader extends ImageBatches implements Iterable<ImageBatch>, AsyncIterable<ImageBatch> {
  private readonly augment: Augmentation | undefined;

  /** @internal */
  constructor(
    private readonly source: ImageDataset,
    options: LoaderOptions,
  ) {
    super('loader', source.length, options, options.augment !== undefined);
    checkAugmentation(options.augment);
    this.augment = options.augment && { ...options.augment };
  }

  [Symbol.iterator](): IterableIterator<ImageBatch, void, undefined> {
    return this.batches();
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<ImageBatch, void, undefined> {
    yield* this.batches();
  }

  private *batches(): IterableIterator<ImageBatch, void, undefined> {
    const pass = this.nextPass();
    for (let place = 0; place < this.length; ++place) {
      const batch = this.batch(pass, place);
      try {
        yield batch;
      } finally {
        disposeBatch(batch);
      }
    }
  }

  private batch(pass: Pass, place: number): ImageBatch {
    const { images, labels, shape } = this.source;
    const { augment } = this;
    const indices = this.indicesOf(pass, place);
    const size = imageSize(shape);
    const bytes = new Uint8Array(indices.length * size);
    indices.forEach((index, i) => {
      bytes.set(images.subarray(index * size, (index + 1) * size), i * size);
    });
    const own = indices.map((index) => labels[index] as number);
    return this.toBatch(
      bytes,
      shape,
      own,
      indices,
      augment && ((raw) => augmented(raw, augment, pass.draws)),
    );
  }
}

function augmented(images: Tensor, options: Augmentation, generator: Generator): Tensor {
  const { padding = 4, flip = true } = options;
  const [, height, width] = images.shape as [number, number, number, number];
  return ops.randomCropFlip(images, [height, width], { padding, flip, generator });
}

function checkAugmentation(augment: Augmentation | undefined): void {
  if (augment === undefined) return;
  if (typeof augment !== 'object' || augment === null) {
    fail('loader', 'augment', 'an object such as { padding: 4, flip: true }', describe(augment));
  }
  const { padding = 4, flip = true } = augment;
  checkInteger('loader', 'augment.padding', padding, 0);
  if (typeof flip !== 'boolean') fail('loader', 'augment.flip', 'true or false', describe(flip));
}
