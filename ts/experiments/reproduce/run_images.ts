import { firstOfEachClass, loader } from '../../data';
import type { Augmentation, ImageDataset, StreamAugmentation, TrainTest } from '../../data';
import { listImages } from '../../data/class_folders';
import type { ImageFiles } from '../../data/class_folders';
import { ImageStream } from '../../data/image_stream';
import type { BatchSource } from '../../train';
import type { ClassifierConfig, TrainingConfig } from './config';

/** What a classifier is trained and tested on, wherever the images lie. */
export interface RunImages {
  /** [H, W, C] of an image. */
  readonly shape: ImageDataset['shape'];
  readonly classes: readonly string[];
  readonly trainImages: number;
  readonly testImages: number;
  /** `epoch` is how many times it has been gone through; assigned to go on with a training. */
  readonly train: BatchSource & { epoch: number };
  /** What the learning curve is measured on. */
  readonly curve: BatchSource;
  readonly test: BatchSource;
}

/** Class folders for training and testing, which have the same classes. */
export interface TrainTestFolders {
  readonly train: string;
  readonly test: string;
  readonly classes: readonly string[];
}

/** Does not change results: images per pass when testing. */
const TEST_BATCH = 250;

const AUGMENTATIONS: Readonly<Record<TrainingConfig['augment'], Augmentation | undefined>> = {
  none: undefined,
  flip: { padding: 0, flip: true },
  cropFlip: { padding: 4, flip: true },
};

const STREAM_AUGMENTATIONS: Readonly<Record<TrainingConfig['augment'], StreamAugmentation | undefined>> = {
  none: undefined,
  flip: { crop: false, flip: true },
  cropFlip: { crop: true, flip: true },
};

/** Images that lie in memory. */
export function imagesInMemory(config: ClassifierConfig, { train, test }: TrainTest): RunImages {
  const { curvePerClass } = config.data;
  const curve = curvePerClass === 'all' ? test : firstOfEachClass(test, curvePerClass);
  return {
    shape: train.shape,
    classes: train.classes,
    trainImages: train.length,
    testImages: test.length,
    train: loader(train, {
      ...trainingBatches(config, train.length),
      augment: AUGMENTATIONS[config.training.augment],
    }),
    curve: loader(curve, { batchSize: TEST_BATCH }),
    test: loader(test, { batchSize: TEST_BATCH }),
  };
}

/** Class folders of pictures that are read from the disk again and again. */
export async function imagesOnDisk(config: ClassifierConfig, folders: TrainTestFolders): Promise<RunImages> {
  const { trainPerClass, testPerClass, curvePerClass, size, resize } = config.data;
  const { classes } = folders;
  const list = (folder: string, count: number | 'all'): Promise<ImageFiles> =>
    listImages('imageStream', folder, { classes, ...(count !== 'all' && { limit: count }) });
  const tested = { batchSize: TEST_BATCH, size, resize };
  const trainFiles = await list(folders.train, trainPerClass);
  const testFiles = await list(folders.test, testPerClass);
  const train = new ImageStream(trainFiles, {
    ...trainingBatches(config, trainFiles.length),
    ...{ size, resize },
    augment: STREAM_AUGMENTATIONS[config.training.augment],
  });
  return {
    shape: train.shape,
    classes,
    trainImages: trainFiles.length,
    testImages: testFiles.length,
    train,
    curve: new ImageStream(await list(folders.test, curvePerClass), tested),
    test: new ImageStream(testFiles, tested),
  };
}

function trainingBatches(
  { training: { batchSize }, seed }: ClassifierConfig,
  count: number,
): { batchSize: number; seed: number; shuffle: boolean; dropLast: boolean } {
  // A rest of one or two images would give batch norm statistics of nothing.
  return { batchSize, seed, shuffle: true, dropLast: count > batchSize };
}
