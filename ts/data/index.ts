/** Data sets and how they reach a network. */
export { countByClass, dataset, imageAt, pick } from './dataset';
export type { ImageDataset } from './dataset';
export { FASHION_MNIST_CLASSES, fashionMnist } from './fashion_mnist';
export type { TrainTest } from './fashion_mnist';
export { parseIdx, readIdx } from './idx';
export type { IdxArray } from './idx';
export { loader } from './loader';
export type { Augmentation, ImageBatch, Loader, LoaderOptions } from './loader';
