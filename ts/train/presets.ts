/** How the SphereNet authors train, as recipes. */
import { checkNumber, checkOneOf } from '../core/errors';
import type { Tensor } from '../core/tensor';
import type { Augmentation } from '../data';
import { orthogonality, total } from '../losses';
import { BatchNorm2d, sphereKernels } from '../nn';
import type { Module } from '../nn';
import { Adam, Schedule, SGD, stepDecay } from '../optim';
import type { Optimizer } from '../optim';

/**
 * A way to train: plain data, and what is made of it.
 *
 * ```ts
 * const preset = presets.authors({ scale: 0.01 });
 * const { batchSize, augment, labelSmoothing, steps, regularizer } = preset;
 * const head = new nn.SoftmaxHead(256, 10, { bias: false, labelSmoothing });
 * const model = preset.prepare(models.sphereCnn({ head }));
 * const optimizer = preset.optimizer(model.parameters());
 * const schedule = preset.schedule(optimizer);
 * const train = data.loader(images, { batchSize, augment, shuffle: true });
 * await new Trainer({ model, optimizer, schedule, train, steps, regularizer }).run();
 * ```
 */
export interface TrainingPreset {
  /** Optimiser steps in all. */
  readonly steps: number;
  /** Images per step. */
  readonly batchSize: number;
  /** The first learning rate. */
  readonly lr: number;
  /** Steps after which the learning rate is a tenth of what it was. */
  readonly milestones: readonly number[];
  /** Of ordinary kernels, biases and normalisation layers; sphere kernels are spared. */
  readonly weightDecay: number;
  /** Coefficient of ‖WᵀW − I‖²_F of each layer of sphere kernels. */
  readonly orthogonality: number;
  /** Of the head, for its option of this name. */
  readonly labelSmoothing: number;
  /** Of every {@link nn.BatchNorm2d}; `prepare` sets them. */
  readonly batchNorm: { readonly decay: number; readonly epsilon: number };
  /** For the option of this name of {@link data.loader}, whose default scaling of bytes is the authors'. */
  readonly augment: Augmentation;
  /** A new optimiser for a model's parameters. */
  optimizer(parameters: Iterable<Tensor>): Optimizer;
  /** The schedule of its learning rate. */
  schedule(optimizer: Optimizer): Schedule;
  /** For the option of this name of the Trainer; null for a model without sphere kernels. */
  regularizer(model: Module): Tensor | null;
  /** Sets the batch norms of a model, and returns it. */
  prepare<M extends Module>(model: M): M;
}

export interface PresetOptions {
  /** Share of the steps, above 0; milestones move along, so that a short run has the same shape. 1 by default. */
  scale?: number | undefined;
  /**
   * `flip`: mirrored left to right in half of the cases (the paper's CIFAR-10). `full`: also moved by up to 4 pixels (its
   * CIFAR-10+; the authors fill the border with mirrored pixels, this library with zeros). `flip` by default.
   */
  augmentation?: 'flip' | 'full' | undefined;
}

const AUGMENTATIONS = { flip: { padding: 0, flip: true }, full: { padding: 4, flip: true } } as const;

/** The numbers of a preset, without what is made of them. */
interface Recipe extends Pick<TrainingPreset, 'batchSize' | 'lr' | 'labelSmoothing' | 'batchNorm'> {
  steps: number;
  milestones: readonly number[];
  optimizer: 'adam' | 'momentum';
}

// From the authors' code, for all presets.
const WEIGHT_DECAY = 5e-4;
const ORTHOGONALITY = 1e-4;

const CIFAR = {
  batchSize: 128,
  lr: 1e-3,
  steps: 64_000,
  milestones: [34_000, 54_000],
  optimizer: 'adam',
} as const;
const LIBRARY_BATCH_NORM = { decay: 0.9, epsilon: 1e-5 };

/**
 * The paper's training on CIFAR: Adam, learning rate 1e-3, a tenth of it after 34,000 and 54,000 of 64,000 steps of 128
 * images (recalled from the paper). Weight decay 5e-4 and the coefficient 1e-4 of orthogonality are from the authors'
 * code; no label smoothing, and batch norm with this library's defaults.
 */
export function paper(options: PresetOptions = {}): TrainingPreset {
  return preset('paper', { ...CIFAR, labelSmoothing: 0, batchNorm: LIBRARY_BATCH_NORM }, options);
}

/**
 * What the authors' code does on CIFAR (all from that code): the schedule of {@link paper}, label smoothing 0.01, batch
 * norms with decay 0.999 and epsilon 1e-3, weight decay 5e-4 (the coefficient of ½‖w‖² there) of the classifier, batch
 * norms and ordinary convolutions, orthogonality 1e-4 of raw kernels per layer. Not here: 1e-4 that the code adds to
 * probabilities before the logarithm, and weight decay of an angular head's kernel, whose length does not matter.
 */
export function authors(options: PresetOptions = {}): TrainingPreset {
  const batchNorm = { decay: 0.999, epsilon: 1e-3 };
  return preset('authors', { ...CIFAR, labelSmoothing: 0.01, batchNorm }, options);
}

/**
 * The paper's training on ImageNet: SGD with momentum 0.9, learning rate 0.1, a tenth of it after 200,000 and 375,000 of
 * 550,000 steps (recalled from the paper). The batch size, not known from it, is 256 as is usual; weight decay and
 * orthogonality are from the authors' code for CIFAR; batch norm has this library's defaults.
 */
export function imageNet(options: PresetOptions = {}): TrainingPreset {
  const recipe: Recipe = {
    batchSize: 256,
    lr: 0.1,
    steps: 550_000,
    milestones: [200_000, 375_000],
    optimizer: 'momentum',
    labelSmoothing: 0,
    batchNorm: LIBRARY_BATCH_NORM,
  };
  return preset('imageNet', recipe, options);
}

function preset(name: string, recipe: Recipe, options: PresetOptions): TrainingPreset {
  const { scale = 1, augmentation = 'flip' } = options;
  checkNumber(`presets.${name}`, 'scale', scale, 'a number above 0', (value) => value > 0);
  checkOneOf(`presets.${name}`, 'augmentation', augmentation, ['flip', 'full']);
  const { lr, batchSize, labelSmoothing, batchNorm } = recipe;
  const milestones = scaled(recipe.milestones, scale);
  return {
    steps: Math.max(1, Math.round(recipe.steps * scale)),
    batchSize,
    lr,
    milestones,
    weightDecay: WEIGHT_DECAY,
    orthogonality: ORTHOGONALITY,
    labelSmoothing,
    batchNorm,
    augment: AUGMENTATIONS[augmentation],
    optimizer: (parameters) => {
      const common = { lr, weightDecay: WEIGHT_DECAY };
      return recipe.optimizer === 'adam'
        ? new Adam(parameters, common)
        : new SGD(parameters, { ...common, momentum: 0.9 });
    },
    schedule: (optimizer) => new Schedule(optimizer, stepDecay({ milestones })),
    regularizer: (model) =>
      total(
        sphereKernels(model).map((weight) => orthogonality(weight)),
        ORTHOGONALITY,
      ),
    prepare: (model) => {
      for (const module of model.modules()) {
        if (!(module instanceof BatchNorm2d)) continue;
        module.momentum = 1 - batchNorm.decay;
        module.epsilon = batchNorm.epsilon;
      }
      return model;
    },
  };
}

/** Milestones of a shorter schedule; ascending, however short it is. */
function scaled(milestones: readonly number[], scale: number): number[] {
  let last = 0;
  return milestones.map((milestone) => (last = Math.max(last + 1, Math.round(milestone * scale))));
}
