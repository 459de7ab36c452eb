import { join, resolve } from 'node:path';
import { fromIdx } from './dataset';
import type { ImageDataset } from './dataset';
import { describeFolder, failData, listFolder } from './files';
import { readIdx } from './idx';

/** What the labels 0 to 9 of Fashion-MNIST stand for. */
export const FASHION_MNIST_CLASSES: readonly string[] = [
  'T-shirt/top',
  'Trouser',
  'Pullover',
  'Dress',
  'Coat',
  'Sandal',
  'Shirt',
  'Sneaker',
  'Bag',
  'Ankle boot',
];

/** The part of Fashion-MNIST that comes with this package; its README says how it was chosen. */
export const FASHION_MNIST_SUBSET = resolve(__dirname, '../../data/fashion-mnist');

/** Training and test images. */
export interface TrainTest {
  readonly train: ImageDataset;
  readonly test: ImageDataset;
}

/**
 * Fashion-MNIST (Xiao, Rasul, Vollgraf 2017): grey 28 × 28 pictures of clothes in ten classes. Without a folder the
 * subset that comes with this package: 10,000 training and 2,500 test images, the same number of each class.
 *
 * @param folder holds `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the same two with `t10k`, each plain, as
 *   `.gz` or as `.br`. The full set of 60,000 and 10,000 images and MNIST itself are published so.
 * @throws SphereNetError (SPHERENET_DATA) naming the file and what was expected
 */
export async function fashionMnist(folder: string = FASHION_MNIST_SUBSET): Promise<TrainTest> {
  const entries = await listFolder(folder, 'a folder with the four IDX files of Fashion-MNIST');
  const names = entries.map(({ name }) => name);
  const [train, test] = await Promise.all(['train', 't10k'].map((part) => loadPart(folder, names, part)));
  const { shape } = train as ImageDataset;
  const other = (test as ImageDataset).shape;
  if (shape.join() !== other.join()) {
    const sizes = [shape, other].map(([height, width]) => `${height} × ${width}`);
    failData(folder, `test images of ${sizes[0]} pixels, as those for training`, `${sizes[1]}`);
  }
  return { train: train as ImageDataset, test: test as ImageDataset };
}

async function loadPart(folder: string, names: readonly string[], part: string): Promise<ImageDataset> {
  const find = (stem: string): string => {
    const name = [`${stem}.gz`, `${stem}.br`, stem].find((candidate) => names.includes(candidate));
    return name ?? failData(folder, `a file ${stem}, plain, .gz or .br`, describeFolder(names));
  };
  const images = find(`${part}-images-idx3-ubyte`);
  const labels = find(`${part}-labels-idx1-ubyte`);
  const [pictures, classes] = await Promise.all([
    readIdx(join(folder, images), 3),
    readIdx(join(folder, labels), 1),
  ]);
  return fromIdx({ ...pictures, name: images }, { ...classes, name: labels }, FASHION_MNIST_CLASSES);
}
