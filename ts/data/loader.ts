import { tensor } from '../core/create';
import { device } from '../core/device';
import type { DeviceName } from '../core/device';
import type { FloatDType, HalfDType } from '../core/dtype';
import { FLOAT_DTYPES, isFloat } from '../core/dtype';
import { checkInteger, checkNumber, describe, fail } from '../core/errors';
import { Generator, random } from '../core/random';
import { keep, noGrad, scope } from '../core/scope';
import type { Tensor } from '../core/tensor';
import * as ops from '../ops';
import { imageSize } from './dataset';
import type { ImageDataset } from './dataset';

export interface LoaderOptions {
  /** Images per batch, at least 1. */
  batchSize: number;
  /** Another order each time through; false by default. */
  shuffle?: boolean | undefined;
  /**
   * Fixes the orders and augmentations: the n-th time through is the same for the same seed. Drawn from the shared
   * generator by default.
   */
  seed?: number | undefined;
  /** Leaves out a last batch that is not full; false by default. */
  dropLast?: boolean | undefined;
  /** scale · byte + shift is what the network sees. By default (byte − 127.5) / 128, as in the authors' code. */
  normalize?: { scale: number; shift: number } | undefined;
  /** Of the images; float32 by default. With bfloat16 or float16 the network computes with activations of 16 bits. */
  dtype?: FloatDType | HalfDType | undefined;
  /** Changes the images at random, anew each time through; not done by default. For training only. */
  augment?: Augmentation | undefined;
  /** Where the batches are made; the current device, as each is asked for, by default. */
  device?: DeviceName | undefined;
}

/** How the images of a loader are changed, as {@link ops.randomCropFlip} does; both on the bytes, on the device. */
export interface Augmentation {
  /** Moves each image by up to this many pixels in each direction; what comes in at the sides is 0. 4 by default. */
  padding?: number | undefined;
  /** Mirrors half of the images, left to right; true by default. */
  flip?: boolean | undefined;
}

/** A part of a dataset, on the device. */
export interface ImageBatch {
  /** float `[B, H, W, C]`, normalised */
  readonly images: Tensor;
  /** int32 `[B]` */
  readonly labels: Tensor;
  /** Which images of the dataset these are. */
  readonly indices: Int32Array;
}

const AUTHORS_SCALING = { scale: 1 / 128, shift: -127.5 / 128 };

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
export class Loader implements Iterable<ImageBatch>, AsyncIterable<ImageBatch> {
  /** How many times it has been iterated. Assigning it makes the next time that one, to go on with a training. */
  epoch = 0;
  /** Batches each time through. */
  readonly length: number;
  /** Images each time through. */
  readonly size: number;
  private readonly seed: number;

  /** @internal */
  constructor(
    private readonly source: ImageDataset,
    private readonly options: LoaderOptions,
  ) {
    checkOptions(source, options);
    const { batchSize, shuffle = false, dropLast = false, augment, seed } = options;
    this.length = dropLast ? Math.floor(source.length / batchSize) : Math.ceil(source.length / batchSize);
    this.size = dropLast ? this.length * batchSize : source.length;
    this.seed = seed ?? (shuffle || augment ? random.generator().nextSeed() : 0);
    this.options = { ...options };
  }

  [Symbol.iterator](): IterableIterator<ImageBatch, void, undefined> {
    return this.batches();
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<ImageBatch, void, undefined> {
    yield* this.batches();
  }

  private *batches(): IterableIterator<ImageBatch, void, undefined> {
    const { batchSize } = this.options;
    const draws = this.generator(this.epoch++);
    const order = this.order(draws);
    for (let start = 0; start < this.size; start += batchSize) {
      const batch = this.batch(order.slice(start, Math.min(start + batchSize, this.size)), draws);
      try {
        yield batch;
      } finally {
        batch.images.dispose();
        batch.labels.dispose();
      }
    }
  }

  /** What is random in epoch `epoch`, which depends on the seed and that number only. */
  private generator(epoch: number): Generator {
    // Numbers drawn from near seeds are unrelated, but seed + epoch would give seed 2 the orders of seed 1, one later.
    const start = new Generator(this.seed).nextSeed();
    return new Generator((start + epoch) % Number.MAX_SAFE_INTEGER);
  }

  /** The order of the images. */
  private order(draws: Generator): Int32Array {
    const order = Int32Array.from({ length: this.source.length }, (_, i) => i);
    if (this.options.shuffle === true) draws.shuffle(order);
    return order;
  }

  private batch(indices: Int32Array, draws: Generator): ImageBatch {
    const { images, labels, shape } = this.source;
    const {
      normalize = AUTHORS_SCALING,
      dtype = 'float32',
      augment,
      device: target = device.current(),
    } = this.options;
    const size = imageSize(shape);
    const bytes = new Uint8Array(indices.length * size);
    indices.forEach((index, i) => {
      bytes.set(images.subarray(index * size, (index + 1) * size), i * size);
    });
    const floats = scope(() => {
      const raw = tensor(bytes, { shape: [indices.length, ...shape], device: target });
      const seen = augment ? augmented(raw, augment, draws) : raw;
      return noGrad(() => ops.cast(seen, dtype, normalize));
    });
    return {
      images: keep(floats),
      labels: keep(
        tensor(
          indices.map((index) => labels[index] as number),
          { device: target },
        ),
      ),
      indices,
    };
  }
}

function augmented(images: Tensor, options: Augmentation, generator: Generator): Tensor {
  const { padding = 4, flip = true } = options;
  const [, height, width] = images.shape as [number, number, number, number];
  return ops.randomCropFlip(images, [height, width], { padding, flip, generator });
}

function checkOptions(source: ImageDataset, options: LoaderOptions): void {
  const { batchSize, seed, dropLast = false, normalize = AUTHORS_SCALING, dtype = 'float32', augment } = options;
  if (!(source.length > 0)) fail('loader', 'dataset', 'at least one image', 'none');
  checkInteger('loader', 'batchSize', batchSize, 1);
  if (dropLast && batchSize > source.length) {
    fail('loader', 'batchSize', `at most ${source.length}, the size of the dataset, with dropLast`, `${batchSize}`);
  }
  if (seed !== undefined) checkInteger('loader', 'seed', seed, 0, Number.MAX_SAFE_INTEGER);
  checkNumber('loader', 'normalize.scale', normalize.scale);
  checkNumber('loader', 'normalize.shift', normalize.shift);
  if (!isFloat(dtype)) fail('loader', 'dtype', FLOAT_DTYPES, describe(dtype));
  if (augment === undefined) return;
  if (typeof augment !== 'object' || augment === null) {
    fail('loader', 'augment', 'an object such as { padding: 4, flip: true }', describe(augment));
  }
  const { padding = 4, flip = true } = augment;
  checkInteger('loader', 'augment.padding', padding, 0);
  if (typeof flip !== 'boolean') fail('loader', 'augment.flip', 'true or false', describe(flip));
}
