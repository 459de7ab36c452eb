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
import type { ImageDataset } from './dataset';

/** What {@link loader} and {@link imageStream} both take. */
export interface BatchOptions {
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
  /** Where the batches are made; the current device, as each is asked for, by default. */
  device?: DeviceName | undefined;
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

/** What is random in one time through. */
export interface Pass {
  /** The order of all images, those included that `dropLast` leaves out. */
  readonly order: Int32Array;
  /** Goes on behind the draws of the order. */
  readonly draws: Generator;
}

const AUTHORS_SCALING = { scale: 1 / 128, shift: -127.5 / 128 };

/** Images in batches, wherever they come from: how many, in which order, and how bytes become tensors. */
export abstract class ImageBatches {
  /** How many times it has been iterated. Assigning it makes the next time that one, to go on with a training. */
  epoch = 0;
  /** Batches each time through. */
  readonly length: number;
  /** Images each time through. */
  readonly size: number;
  private readonly seed: number;
  private readonly common: BatchOptions;

  /**
   * @param owner who is asked, for errors
   * @param count how many images there are
   * @param isAugmented whether more than the order is random
   */
  protected constructor(
    owner: string,
    private readonly count: number,
    options: BatchOptions,
    isAugmented: boolean,
  ) {
    checkOptions(owner, count, options);
    const { batchSize, shuffle = false, dropLast = false, seed } = options;
    this.length = dropLast ? Math.floor(count / batchSize) : Math.ceil(count / batchSize);
    this.size = dropLast ? this.length * batchSize : count;
    this.seed = seed ?? (shuffle || isAugmented ? random.generator().nextSeed() : 0);
    this.common = { ...options };
  }

  /** Begins the next time through, which depends on the seed and on `epoch` only. */
  protected nextPass(): Pass {
    // Numbers drawn from near seeds are unrelated, but seed + epoch would give seed 2 the orders of seed 1, one later.
    const start = new Generator(this.seed).nextSeed();
    const draws = new Generator((start + this.epoch++) % Number.MAX_SAFE_INTEGER);
    const order = Int32Array.from({ length: this.count }, (_, i) => i);
    if (this.common.shuffle === true) draws.shuffle(order);
    return { order, draws };
  }

  /** Which images are in batch `place`, counted from 0. */
  protected indicesOf({ order }: Pass, place: number): Int32Array {
    const { batchSize } = this.common;
    return order.slice(place * batchSize, Math.min((place + 1) * batchSize, this.size));
  }

  /**
   * A batch that belongs to no scope; to be disposed by `disposeBatch`.
   *
   * @param bytes the images one after the other, each of `shape`
   * @param change what is done to them on the device, as bytes still
   */
  protected toBatch(
    bytes: Uint8Array,
    shape: ImageDataset['shape'],
    labels: Int32Array,
    indices: Int32Array,
    change: (images: Tensor) => Tensor = (images) => images,
  ): ImageBatch {
    const { normalize = AUTHORS_SCALING, dtype = 'float32', device: target = device.current() } = this.common;
    return scope(() => {
      const raw = tensor(bytes, { shape: [indices.length, ...shape], device: target });
      const images = noGrad(() => ops.cast(change(raw), dtype, normalize));
      const classes = tensor(labels, { device: target });
      return { images: keep(images), labels: keep(classes), indices };
    });
  }
}

/** Frees the tensors of a batch. */
export function disposeBatch({ images, labels }: ImageBatch): void {
  images.dispose();
  labels.dispose();
}

function checkOptions(owner: string, count: number, options: BatchOptions): void {
  const { batchSize, seed, dropLast = false, normalize = AUTHORS_SCALING, dtype = 'float32' } = options;
  if (!(count > 0)) fail(owner, 'dataset', 'at least one image', 'none');
  checkInteger(owner, 'batchSize', batchSize, 1);
  if (dropLast && batchSize > count) {
    fail(owner, 'batchSize', `at most ${count}, the size of the dataset, with dropLast`, `${batchSize}`);
  }
  if (seed !== undefined) checkInteger(owner, 'seed', seed, 0, Number.MAX_SAFE_INTEGER);
  checkNumber(owner, 'normalize.scale', normalize.scale);
  checkNumber(owner, 'normalize.shift', normalize.shift);
  if (!isFloat(dtype)) fail(owner, 'dtype', FLOAT_DTYPES, describe(dtype));
}
