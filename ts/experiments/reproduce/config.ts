import type { AngularHeadOptions } from '../../nn';
import type { ArchitectureOptions, LayerNorm } from '../../models';

/**
 * What one run does, as plain data: it is stored beside the result, and two runs are the same when these are. Every
 * kind has a `seed`, which fixes weights, orders and augmentations.
 */
export type RunConfig = ClassifierConfig | FeaturePlaneConfig | SpectrumConfig | DescentConfig;

/** Trains a network and tests it. */
export interface ClassifierConfig {
  kind: 'classifier';
  model: ModelConfig;
  training: TrainingConfig;
  data: DataConfig;
  seed: number;
}

/** Operator of the angular layers, or `none` for ordinary ones. */
export type Operator = NonNullable<ArchitectureOptions['operator']>;

/** A network's layers, by the function of `models` that makes it. */
export type ArchitectureConfig =
  | { name: 'plainCnn'; depth: number; widths: readonly [number, number, number]; features: number }
  | { name: 'resNet32'; widths: readonly [number, number, number] }
  | { name: 'resNet18'; widths: readonly [number, number, number, number]; variant: 'v1' | 'v2' };

export interface ModelConfig {
  architecture: ArchitectureConfig;
  operator: Operator;
  /** Curvature of the sigmoid: a number, or learnt from 0.5 on, one for each filter, layer or the whole network. */
  k?: number | 'perFilter' | 'perLayer' | 'perNetwork';
  norm: LayerNorm;
  /** Of the batch norms; the library's where left out. */
  batchNorm?: { decay: number; epsilon: number };
  relu: boolean;
  head: HeadConfig;
}

export type HeadConfig =
  /** Without bias by default, as the authors' classifier is. */
  | { loss: 'softmax'; labelSmoothing?: number; bias?: boolean }
  | ({ loss: 'angular' } & Pick<
      AngularHeadOptions,
      'operator' | 'k' | 'margin' | 'annealing' | 'labelSmoothing'
    >);

export interface TrainingConfig {
  optimizer:
    | { name: 'adam'; lr: number; weightDecay: number }
    | { name: 'sgd'; lr: number; momentum: number; weightDecay: number };
  /** Half a cosine to 0 over the training, or a tenth at each milestone. */
  schedule: 'cosine' | { milestones: readonly number[] };
  /** Steps over which the learning rate rises at the start. */
  warmup?: number;
  /** Passes through the training images, or steps. */
  length: { epochs: number } | { steps: number };
  batchSize: number;
  /** Mirrored; also moved by up to 4 pixels, or, of ImageNet, a window anywhere in the picture. */
  augment: 'none' | 'flip' | 'cropFlip';
  /** Coefficient of ‖WᵀW − I‖²_F of each layer of sphere kernels; none by default. */
  orthogonality?: number;
}

export interface DataConfig {
  source: 'cifar10' | 'cifar100' | 'imagenet';
  /** The first images of each class, or all. */
  trainPerClass: number | 'all';
  /** Images of each class that the final accuracy is measured on. */
  testPerClass: number | 'all';
  /** How many of the latter the learning curve is measured on after each epoch. */
  curvePerClass: number | 'all';
  /** Height and width: CIFAR's images are scaled to it where it is given, of ImageNet's a window of it is cut, 224. */
  size?: number;
  /** Of ImageNet only: pictures are scaled until their shorter side has so many pixels; 256. */
  resize?: number;
}

/** Trains a network with two features and reads them. */
export interface FeaturePlaneConfig {
  kind: 'featurePlane';
  network: 'plain' | 'sphere';
  epochs: number;
  batchSize: number;
  seed: number;
}

/** Sizes of a random one-layer linear network: F = U Vᵀ, U `[n, k]`, V `[m, k]`, rows of length 1. */
export interface FactorSizes {
  n: number;
  m: number;
  k: number;
}

/** The spectrum of a Hessian at the optimum (c·U, V/c). */
export interface SpectrumConfig extends FactorSizes {
  kind: 'spectrum';
  /** `plain` is G, `sphere` is G_S. */
  problem: 'plain' | 'sphere';
  /** `euclidean`: with respect to U and V. `normalized`: with respect to their rows at length 1. */
  coordinates: 'euclidean' | 'normalized';
  /** Eigenvalues of the Hessian, or the closed form where there is one. */
  method: 'eigenvalues' | 'closedForm';
  c: number;
  seed: number;
}

/** Gradient descent on G or G_S from (c·U₀, V₀/c), at the best of a grid of learning rates. */
export interface DescentConfig extends FactorSizes {
  kind: 'descent';
  /** `projected` keeps the rows at length 1, which is G_S in normalised coordinates. */
  problem: 'plain' | 'sphere' | 'projected';
  c: number;
  iterations: number;
  seed: number;
}

/** How many images each data set has for training. */
const TRAIN_IMAGES: Readonly<Record<DataConfig['source'], number>> = {
  cifar10: 50_000,
  cifar100: 50_000,
  imagenet: 1_281_167,
};
const CLASSES: Readonly<Record<DataConfig['source'], number>> = {
  cifar10: 10,
  cifar100: 100,
  imagenet: 1000,
};

/** Training images that a run goes through, repetitions included; 0 where it trains no network. */
export function trainingImages(config: RunConfig): number {
  if (config.kind !== 'classifier') return 0;
  const { data, training } = config;
  const all = TRAIN_IMAGES[data.source];
  const images = data.trainPerClass === 'all' ? all : CLASSES[data.source] * data.trainPerClass;
  const { length, batchSize } = training;
  return 'steps' in length ? length.steps * batchSize : length.epochs * images;
}
