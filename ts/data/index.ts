/** Data sets and how they reach a network. */
export { CIFAR10_CLASSES, cifar10, cifar100 } from './cifar';
export type { Cifar100Options, CifarOptions } from './cifar';
export { countByClass, dataset, firstOfEachClass, imageAt, pick } from './dataset';
export type { ImageDataset } from './dataset';
export { FASHION_MNIST_CLASSES, fashionMnist } from './fashion_mnist';
export type { TrainTest } from './fashion_mnist';
export { imageFolder } from './image_folder';
export type { ImageFolderOptions } from './image_folder';
export { parseIdx, readIdx } from './idx';
export type { IdxArray } from './idx';
export type { BatchOptions, ImageBatch, ImageBatches } from './image_batches';
export { imageStream } from './image_stream';
export type { ImageStream, ImageStreamOptions, StreamAugmentation } from './image_stream';
export { loader } from './loader';
export type { Augmentation, Loader, LoaderOptions } from './loader';
