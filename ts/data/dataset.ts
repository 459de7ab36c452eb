import { checkInteger, describe, fail } from '../core/errors';
import { failData } from './files';
import type { IdxArray } from './idx';

/** Labelled images in host memory. */
export interface ImageDataset {
  /** `length` images of H × W × C bytes, one after the other, channels innermost. */
  readonly images: Uint8Array;
  /** The class of each image, in [0, classes.length). */
  readonly labels: Int32Array;
  /** [H, W, C] of an image. */
  readonly shape: readonly [number, number, number];
  /** Names of the classes. */
  readonly classes: readonly string[];
  /** How many images. */
  readonly length: number;
  /** Where the images come from and what was done to them, for reports; a lossy copy says so here. */
  readonly note?: string | undefined;
}

/**
 * Puts a dataset together and checks that its parts fit.
 *
 * @throws SphereNetError naming the part that does not
 */
export function dataset(parts: Omit<ImageDataset, 'length'>): ImageDataset {
  const { images, labels, shape, classes, note } = parts;
  if (!(images instanceof Uint8Array)) fail('dataset', 'images', 'a Uint8Array', describe(images));
  if (!(labels instanceof Int32Array)) fail('dataset', 'labels', 'an Int32Array', describe(labels));
  if (shape.length !== 3 || !shape.every((size) => Number.isInteger(size) && size > 0)) {
    fail('dataset', 'shape', '[height, width, channels], whole numbers of at least 1', describe(shape));
  }
  const bytes = labels.length * imageSize(shape);
  if (images.length !== bytes) {
    fail('dataset', 'images', `${bytes} bytes for ${labels.length} labels`, `${images.length} bytes`);
  }
  const wrong = labels.findIndex((label) => label < 0 || label >= classes.length);
  if (wrong >= 0) {
    fail('dataset', 'labels', `from 0 to ${classes.length - 1}`, `${labels[wrong]} at index ${wrong}`);
  }
  return { images, labels, shape, classes, length: labels.length, ...(note !== undefined && { note }) };
}

/** Bytes, and values, of one image. */
export function imageSize([height, width, channels]: ImageDataset['shape']): number {
  return height * width * channels;
}

/** The bytes of one image; a view. */
export function imageAt({ images, shape, length }: ImageDataset, index: number): Uint8Array {
  if (!Number.isInteger(index) || index < 0 || index >= length) {
    fail('imageAt', 'index', `a whole number from 0 to ${length - 1}`, describe(index));
  }
  const size = imageSize(shape);
  return images.subarray(index * size, (index + 1) * size);
}

/**
 * The images at `indices`, in that order, as a dataset of its own; a copy.
 *
 * @throws SphereNetError where an index is outside
 */
export function pick(source: ImageDataset, indices: readonly number[] | Int32Array): ImageDataset {
  const size = imageSize(source.shape);
  const images = new Uint8Array(indices.length * size);
  const labels = new Int32Array(indices.length);
  indices.forEach((index, i) => {
    images.set(imageAt(source, index), i * size);
    labels[i] = source.labels[index] as number;
  });
  return { ...source, images, labels, length: labels.length };
}

/**
 * The first `count` images of each class, or all where a class has fewer, in the order of the source; a copy.
 *
 * @throws SphereNetError where `count` is not a whole number of at least 1
 */
export function firstOfEachClass(source: ImageDataset, count: number): ImageDataset {
  checkInteger('firstOfEachClass', 'count', count, 1);
  const taken = new Array<number>(source.classes.length).fill(0);
  const indices: number[] = [];
  source.labels.forEach((label, index) => {
    const before = taken[label] as number;
    if (before >= count) return;
    taken[label] = before + 1;
    indices.push(index);
  });
  return pick(source, indices);
}

/** How many images each class has. */
export function countByClass({ labels, classes }: ImageDataset): number[] {
  const counts = new Array<number>(classes.length).fill(0);
  for (const label of labels) counts[label] = (counts[label] as number) + 1;
  return counts;
}

/**
 * A dataset of one grey channel from the two IDX files of a part of MNIST or Fashion-MNIST.
 *
 * @throws SphereNetError (SPHERENET_DATA) where their counts differ or a label is no class
 */
export function fromIdx(
  images: IdxArray & { name: string },
  labels: IdxArray & { name: string },
  classes: readonly string[],
): ImageDataset {
  const [count, height, width] = images.dims as [number, number, number];
  if (labels.values.length !== count) {
    failData(labels.name, `${count} labels, as ${images.name} has images`, `${labels.values.length}`);
  }
  const wrong = labels.values.findIndex((label) => label >= classes.length);
  if (wrong >= 0) {
    const expected = `labels from 0 to ${classes.length - 1}`;
    failData(labels.name, expected, `${labels.values[wrong]} at index ${wrong}`);
  }
  return dataset({
    images: images.values,
    labels: Int32Array.from(labels.values),
    shape: [height, width, 1],
    classes,
  });
}
