import { join } from 'node:path';
import { checkInteger, checkOneOf } from '../core/errors';
import { dataset, firstOfEachClass } from './dataset';
import type { ImageDataset } from './dataset';
import type { TrainTest } from './fashion_mnist';
import { describeFolder, failData, listFolder, readBytes } from './files';
import { imageFolder } from './image_folder';

/** What the labels 0 to 9 of CIFAR-10 stand for. */
export const CIFAR10_CLASSES: readonly string[] = [
  'airplane',
  'automobile',
  'bird',
  'cat',
  'deer',
  'dog',
  'frog',
  'horse',
  'ship',
  'truck',
];

export interface CifarOptions {
  /** At most this many training images of each class, the first of the files; all by default. */
  trainPerClass?: number | undefined;
  /** At most this many test images of each class, the first of the files; all by default. */
  testPerClass?: number | undefined;
}

export interface Cifar100Options extends CifarOptions {
  /** 100 classes (`fine`, the default) or the 20 groups of five that they form (`coarse`). */
  labels?: 'fine' | 'coarse' | undefined;
}

/** Height and width of an image. */
const SIDE = 32;
const PIXELS = SIDE * SIDE;

/**
 * CIFAR-10 (Krizhevsky 2009): 50,000 training and 10,000 test images of 32 × 32 pixels in ten classes.
 *
 * @param folder holds `data_batch_1.bin` … `data_batch_5.bin` and `test_batch.bin` of the official binary version, or
 *   `cifar-10-batches-bin` with them, or JPEG files as `train/<class>/…` and `test/<class>/…`. JPEG loses detail: the
 *   dataset's `note` says so.
 * @throws SphereNetError (SPHERENET_DATA) naming the file or folder and what was expected
 */
export async function cifar10(folder: string, options: CifarOptions = {}): Promise<TrainTest> {
  checkLimits('cifar10', options);
  const { root, files, note } = await findCifar10(folder);
  if (files === 'jpeg') return fromPictures(root, note, options);
  const read = async (names: readonly string[]): Promise<ImageDataset> =>
    parseCifar(await Promise.all(names.map((name) => batch(root, name))), {
      labelBytes: 1,
      classes: CIFAR10_CLASSES,
      note,
    });
  const trainFiles = [1, 2, 3, 4, 5].map((number) => `data_batch_${number}.bin`);
  const [train, test] = await Promise.all([read(trainFiles), read(['test_batch.bin'])]);
  return limited(train, test, options);
}

/** Where a data set lies and in which form, found out without reading it. */
export interface FoundCifar {
  root: string;
  files: 'binary' | 'jpeg';
  /** What the datasets' `note` will be. */
  note: string;
}

/** What {@link cifar10} would read; throws as it does where the folder holds no such thing. */
export async function findCifar10(folder: string): Promise<FoundCifar> {
  const expected =
    'a folder with data_batch_1.bin … data_batch_5.bin and test_batch.bin, or train and test with JPEGs';
  const [names, root] = await unpacked(folder, 'cifar-10-batches-bin', expected);
  if (names.includes('train') && names.includes('test')) {
    return { root, files: 'jpeg', note: 'CIFAR-10 from JPEG files, a lossy copy of the data set' };
  }
  if (!names.includes('test_batch.bin')) failData(folder, expected, describeFolder(names));
  return { root, files: 'binary', note: 'CIFAR-10, the official binary files' };
}

/**
 * CIFAR-100 (Krizhevsky 2009): 50,000 training and 10,000 test images of 32 × 32 pixels in a hundred classes.
 *
 * @param folder holds `train.bin`, `test.bin` and the names of the classes as the official binary version has them, or
 *   `cifar-100-binary` with them
 * @throws SphereNetError (SPHERENET_DATA) naming the file or folder and what was expected
 */
export async function cifar100(folder: string, options: Cifar100Options = {}): Promise<TrainTest> {
  checkLimits('cifar100', options);
  const { labels = 'fine' } = options;
  checkOneOf('cifar100', 'labels', labels, ['fine', 'coarse']);
  const { root, note } = await findCifar100(folder);
  const classes = await classNames(root, `${labels}_label_names.txt`, labels === 'fine' ? 100 : 20);
  const read = async (file: string): Promise<ImageDataset> =>
    parseCifar([await batch(root, file)], {
      labelBytes: 2,
      labelAt: labels === 'fine' ? 1 : 0,
      classes,
      note,
    });
  const [train, test] = await Promise.all([read('train.bin'), read('test.bin')]);
  return limited(train, test, options);
}

/** What {@link cifar100} would read; throws as it does where the folder holds no such thing. */
export async function findCifar100(folder: string): Promise<FoundCifar> {
  const expected = 'a folder with train.bin, test.bin and fine_label_names.txt';
  const [names, root] = await unpacked(folder, 'cifar-100-binary', expected);
  if (!names.includes('train.bin')) failData(folder, expected, describeFolder(names));
  return { root, files: 'binary', note: 'CIFAR-100, the official binary files' };
}

interface CifarFormat {
  /** Labels in front of each image, one byte each. */
  labelBytes: number;
  /** Which of them counts; the first by default. */
  labelAt?: number;
  classes: readonly string[];
  note: string;
}

interface NamedBytes {
  name: string;
  bytes: Uint8Array;
}

/**
 * Images of files in the CIFAR binary format: records of labels and 3 × 1024 bytes, the red plane, the green one, the
 * blue one. Channels end up innermost.
 *
 * @throws SphereNetError (SPHERENET_DATA) naming a file that is cut off or has a label that is no class
 */
export function parseCifar(files: readonly NamedBytes[], format: CifarFormat): ImageDataset {
  const { labelBytes, labelAt = 0, classes, note } = format;
  const record = labelBytes + 3 * PIXELS;
  for (const { name, bytes } of files) {
    if (bytes.length === 0 || bytes.length % record !== 0) {
      failData(name, `records of ${record} bytes`, `${bytes.length} bytes`);
    }
  }
  const count = files.reduce((sum, { bytes }) => sum + bytes.length / record, 0);
  const images = new Uint8Array(count * 3 * PIXELS);
  const labels = new Int32Array(count);
  let place = 0;
  for (const { name, bytes } of files) {
    for (let start = 0; start < bytes.length; start += record, ++place) {
      const label = bytes[start + labelAt] as number;
      if (label >= classes.length) {
        failData(name, `labels from 0 to ${classes.length - 1}`, `${label} at image ${start / record}`);
      }
      labels[place] = label;
      interleave(bytes, start + labelBytes, images, place * 3 * PIXELS);
    }
  }
  return dataset({ images, labels, shape: [SIDE, SIDE, 3], classes, note });
}

/** Three planes to pixels. */
function interleave(planes: Uint8Array, from: number, pixels: Uint8Array, to: number): void {
  for (let channel = 0; channel < 3; ++channel) {
    const plane = from + channel * PIXELS;
    for (let i = 0; i < PIXELS; ++i) pixels[to + 3 * i + channel] = planes[plane + i] as number;
  }
}

async function fromPictures(folder: string, note: string, options: CifarOptions): Promise<TrainTest> {
  const read = async (part: string, limit: number | undefined): Promise<ImageDataset> => {
    const path = join(folder, part);
    const images = await imageFolder(path, { classes: CIFAR10_CLASSES, limit });
    if (images.shape[0] !== SIDE || images.shape[1] !== SIDE) {
      failData(path, `pictures of ${SIDE} × ${SIDE} pixels`, `${images.shape[1]} × ${images.shape[0]}`);
    }
    return { ...images, note };
  };
  const [train, test] = await Promise.all([
    read('train', options.trainPerClass),
    read('test', options.testPerClass),
  ]);
  return { train, test };
}

/** What lies in the folder, or in the one that the official archive unpacks to within it. */
async function unpacked(folder: string, within: string, expected: string): Promise<[string[], string]> {
  const names = (await listFolder(folder, expected)).map(({ name }) => name);
  if (!names.includes(within)) return [names, folder];
  const root = join(folder, within);
  return [(await listFolder(root, expected)).map(({ name }) => name), root];
}

async function batch(folder: string, name: string): Promise<NamedBytes> {
  return { name, bytes: await readBytes(join(folder, name)) };
}

async function classNames(folder: string, file: string, count: number): Promise<string[]> {
  const text = (await readBytes(join(folder, file))).toString('utf8');
  const names = text.split('\n').map((line) => line.trim()).filter((line) => line !== ''); // prettier-ignore
  if (names.length !== count) failData(file, `${count} names, one on each line`, `${names.length}`);
  return names;
}

function limited(
  train: ImageDataset,
  test: ImageDataset,
  { trainPerClass, testPerClass }: CifarOptions,
): TrainTest {
  const few = (all: ImageDataset, count: number | undefined): ImageDataset =>
    count === undefined ? all : firstOfEachClass(all, count);
  return { train: few(train, trainPerClass), test: few(test, testPerClass) };
}

function checkLimits(op: string, { trainPerClass, testPerClass }: CifarOptions): void {
  if (trainPerClass !== undefined) checkInteger(op, 'trainPerClass', trainPerClass, 1);
  if (testPerClass !== undefined) checkInteger(op, 'testPerClass', testPerClass, 1);
}
