import { availableParallelism } from 'node:os';
import { checkInteger, describe, fail } from '../core/errors';
import { Generator } from '../core/random';
import { listImages } from './class_folders';
import type { ImageFiles, ListOptions } from './class_folders';
import { imageSize } from './dataset';
import type { ImageDataset } from './dataset';
import { disposeBatch, ImageBatches } from './image_batches';
import type { BatchOptions, ImageBatch } from './image_batches';
import { decodePicture } from './image_folder';
import { prefetched, Slots } from './prefetch';

export interface ImageStreamOptions extends BatchOptions, ListOptions {
  /** Height and width of the window that is cut out of each picture; 224 by default, at most `resize`. */
  size?: number | undefined;
  /** Pictures are scaled until their shorter side has so many pixels, before the window is cut; 256 by default. */
  resize?: number | undefined;
  /** Cuts and mirrors at random, anew each time through, for training; by default the window is at the centre. */
  augment?: StreamAugmentation | undefined;
  /**
   * How many pictures are decoded at once; as many as there are processors by default. They are decoded on Node's
   * thread pool, which has four threads unless the environment variable UV_THREADPOOL_SIZE says another number.
   */
  decodes?: number | undefined;
  /** Batches that are decoded while one is in use; 2 by default. 0 decodes a batch when it is asked for. */
  ahead?: number | undefined;
}

/** What {@link imageStream} does to pictures at random. */
export interface StreamAugmentation {
  /** The window is anywhere in the picture; true by default. */
  crop?: boolean | undefined;
  /** Mirrors half of the pictures, left to right; true by default. */
  flip?: boolean | undefined;
}

/**
 * Goes through `<folder>/<class>/*.jpg` (also .jpeg, .png, .webp) in batches, as often as it is iterated, reading the
 * pictures from the disk each time: for what does not fit into memory, such as ImageNet. Only the names stay in memory,
 * with `ahead` + 1 batches. Batches are what {@link loader} makes, and live as long; they come in the order of the seed
 * and with the same pixels, however fast the pictures are decoded. Each picture's window and mirroring depend on the
 * seed, the time through and the picture only.
 *
 * ```ts
 * const train = await data.imageStream('imagenet/train', { batchSize: 256, shuffle: true, seed: 1, augment: {} });
 * const val = await data.imageStream('imagenet/val', { batchSize: 250, classes: train.classes });
 * for await (const { images, labels } of train) { … }
 * ```
 *
 * `augment: {}` with the default sizes is the "minimal augmentation" of the paper's ImageNet, as recalled; its sizes are
 * not known, so they are the usual ones.
 *
 * Colours and names are treated as by {@link imageFolder}. A file that cannot be read ends the iteration, when it is the
 * turn of its batch, with an error that names it; nothing is decoded any more then, nor when the loop is left early.
 *
 * @throws SphereNetError (SPHERENET_DATA) naming the folder that is missing or empty; (SPHERENET_ARGUMENT) naming the
 *   option that is out of range
 */
export async function imageStream(folder: string, options: ImageStreamOptions): Promise<ImageStream> {
  return new ImageStream(await listImages('imageStream', folder, options), options);
}

/** What {@link imageStream} makes. */
export class ImageStream extends ImageBatches implements AsyncIterable<ImageBatch> {
  /** [H, W, C] of an image. */
  readonly shape: ImageDataset['shape'];
  private readonly settings: Settings;

  /** @internal */
  constructor(
    private readonly files: ImageFiles,
    options: ImageStreamOptions,
  ) {
    super('imageStream', files.length, options, options.augment !== undefined);
    const { size = 224, resize = 256, decodes = availableParallelism(), ahead = 2, augment } = options;
    const settings = { size, resize, decodes, ahead, augment };
    checkSettings(settings);
    this.settings = { ...settings, augment: augment && { ...augment } };
    this.shape = [size, size, 3];
  }

  /** Names of the classes. */
  get classes(): readonly string[] {
    return this.files.classes;
  }

  /** The file of an image, by its index in a batch's `indices`. */
  path(index: number): string {
    checkInteger('path', 'index', index, 0, this.files.length - 1);
    return this.files.path(index);
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<ImageBatch, void, undefined> {
    const { files, shape } = this;
    const { decodes, ahead } = this.settings;
    const pass = this.nextPass();
    const seed = pass.draws.nextSeed();
    const slots = new Slots(decodes);
    const decoded = prefetched(
      this.length,
      ahead,
      (place) => this.decodeBatch(this.indicesOf(pass, place), seed, slots),
      () => {
        slots.close();
      },
    );
    for await (const { bytes, indices } of decoded) {
      const labels = indices.map((index) => files.labels[index] as number);
      const batch = this.toBatch(bytes, shape, labels, indices);
      try {
        yield batch;
      } finally {
        disposeBatch(batch);
      }
    }
  }

  private async decodeBatch(
    indices: Int32Array,
    seed: number,
    slots: Slots,
  ): Promise<{ bytes: Uint8Array; indices: Int32Array }> {
    const size = imageSize(this.shape);
    const bytes = new Uint8Array(indices.length * size);
    const tasks = Array.from(indices, (index, i) =>
      slots.run(() => this.decodeWindow(index, seed, bytes.subarray(i * size, (i + 1) * size))),
    );
    // The first in order, not in time, so that two bad files give the same error every time.
    for (const result of await Promise.allSettled(tasks)) {
      if (result.status === 'rejected') throw result.reason;
    }
    return { bytes, indices };
  }

  /** Writes what is seen of a picture. */
  private async decodeWindow(index: number, seed: number, into: Uint8Array): Promise<void> {
    const { size, resize, augment } = this.settings;
    const draws = new Generator((seed + index) % Number.MAX_SAFE_INTEGER);
    const [down, right, mirror] = [draws.uniform(), draws.uniform(), draws.uniform()];
    const { crop = true, flip = true } = augment ?? { crop: false, flip: false };
    const { data, info } = await decodePicture(this.files.path(index), (picture) =>
      picture.resize(resize, resize, { fit: 'outside' }).flop(flip && mirror < 0.5),
    );
    const place = (room: number, share: number): number =>
      crop ? Math.floor(share * (room + 1)) : Math.floor(room / 2);
    const top = place(info.height - size, down);
    const left = place(info.width - size, right);
    for (let y = 0; y < size; ++y) {
      const start = ((top + y) * info.width + left) * 3;
      into.set(data.subarray(start, start + size * 3), y * size * 3);
    }
  }
}

interface Settings {
  readonly size: number;
  readonly resize: number;
  readonly decodes: number;
  readonly ahead: number;
  readonly augment: StreamAugmentation | undefined;
}

function checkSettings({ size, resize, decodes, ahead, augment }: Settings): void {
  const owner = 'imageStream';
  checkInteger(owner, 'resize', resize, 1, 16_384);
  checkInteger(owner, 'size', size, 1, resize);
  checkInteger(owner, 'decodes', decodes, 1);
  checkInteger(owner, 'ahead', ahead, 0);
  if (augment === undefined) return;
  if (typeof augment !== 'object' || augment === null) {
    fail(owner, 'augment', 'an object such as { crop: true, flip: true }', describe(augment));
  }
  for (const name of ['crop', 'flip'] as const) {
    const value: unknown = augment[name];
    if (value !== undefined && typeof value !== 'boolean')
      fail(owner, `augment.${name}`, 'true or false', describe(value));
  }
}
