import type {
  ArchitectureConfig,
  ClassifierConfig,
  DataConfig,
  HeadConfig,
  ModelConfig,
  TrainingConfig,
} from '../config';
import type { Budget } from '../experiment';

/** The paper's for CIFAR: Adam at 10⁻³, a tenth of it after 34,000 and 54,000 of 64,000 steps (authors' code). */
const FULL_TRAINING: TrainingConfig = {
  optimizer: { name: 'adam', lr: 1e-3, weightDecay: 5e-4 },
  schedule: { milestones: [34_000, 54_000] },
  length: { steps: 64_000 },
  batchSize: 128,
  augment: 'flip',
  orthogonality: 1e-4,
};

/** The learning rate is the best of 0.002, 0.005, 0.01 and 0.02 for the ordinary CNN-9. */
const QUICK_TRAINING: TrainingConfig = {
  optimizer: { name: 'adam', lr: 0.01, weightDecay: 5e-4 },
  schedule: 'cosine',
  length: { epochs: 6 },
  batchSize: 64,
  augment: 'flip',
  // Ten times the paper's: in few steps a small one does not keep the lengths of filters, and with them the pace.
  orthogonality: 1e-3,
};

const FULL_DATA: DataConfig = {
  source: 'cifar10',
  trainPerClass: 'all',
  testPerClass: 'all',
  curvePerClass: 'all',
};

const QUICK_DATA: DataConfig = {
  source: 'cifar10',
  trainPerClass: 500,
  testPerClass: 500,
  curvePerClass: 100,
};

/** CNN-9; 64, 96 and 128 channels are the paper's, the settings of batch norm the authors' code's. */
const FULL_MODEL: ModelConfig = {
  architecture: { name: 'plainCnn', depth: 9, widths: [64, 96, 128], features: 256 },
  operator: 'cosine',
  norm: 'batch',
  batchNorm: { decay: 0.999, epsilon: 1e-3 },
  relu: true,
  head: { loss: 'softmax' },
};

const { batchNorm: _, ...LIKE_FULL } = FULL_MODEL;
const QUICK_MODEL: ModelConfig = {
  ...LIKE_FULL,
  architecture: { name: 'plainCnn', depth: 9, widths: [16, 24, 32], features: 64 },
};

type PlainCnn = Extract<ArchitectureConfig, { name: 'plainCnn' }>;

/** What an experiment changes of a budget's common setting. */
export interface Changes {
  model?: Partial<Omit<ModelConfig, 'architecture'>>;
  /** Another architecture, or another depth or width of the plain network. */
  architecture?: ArchitectureConfig | Partial<Omit<PlainCnn, 'name'>>;
  training?: Partial<TrainingConfig>;
  data?: Partial<DataConfig>;
}

/** The common setting of a budget with changes. */
export function classifier(budget: Budget, seed: number, ...changes: Changes[]): ClassifierConfig {
  const isFull = budget === 'full';
  let model = isFull ? FULL_MODEL : QUICK_MODEL;
  let training = isFull ? FULL_TRAINING : QUICK_TRAINING;
  let data = isFull ? FULL_DATA : QUICK_DATA;
  for (const change of changes) {
    const { architecture = {} } = change;
    const changed = 'name' in architecture ? architecture : ({ ...model.architecture, ...architecture } as ArchitectureConfig); // prettier-ignore
    model = { ...model, ...change.model, architecture: changed };
    training = { ...training, ...change.training };
    data = { ...data, ...change.data };
  }
  // Batch norm's settings are for networks that have some.
  if (!model.norm.includes('batch')) {
    const { batchNorm: __, ...rest } = model;
    model = rest;
  }
  return { kind: 'classifier', model, training, data, seed };
}

/** The operators that the paper compares; k is its curvature. */
export const OPERATORS = {
  sigmoid01: { operator: 'sigmoid', k: 0.1 },
  sigmoid03: { operator: 'sigmoid', k: 0.3 },
  sigmoid07: { operator: 'sigmoid', k: 0.7 },
  linear: { operator: 'linear' },
  cosine: { operator: 'cosine' },
  original: { operator: 'none' },
} as const satisfies Record<string, Pick<ModelConfig, 'operator' | 'k'>>;

export const SETTING: Readonly<Record<Budget, string>> = {
  full:
    'The paper’s, with the schedule of the authors’ code: CNN-9 with 64, 96 and 128 channels on all of CIFAR-10, mirrored ' +
    'at random, Adam at 0.001 with a tenth of it after 34,000 and 54,000 of 64,000 steps of 128 images, orthogonality ' +
    '10⁻⁴ on sphere kernels and weight decay 5·10⁻⁴ on others; tested on all 10,000 test images.',
  quick:
    'Much smaller than the paper’s, for two CPU cores: CNN-9 with 16, 24 and 32 channels and 64 features, the first 500 ' +
    'training images of each class of CIFAR-10, mirrored at random, 6 epochs of batches of 64, Adam at 0.01, where the ' +
    'ordinary CNN-9 is at its best, falling to 0 along half a cosine, orthogonality 10⁻³ on sphere kernels and weight ' +
    'decay 5·10⁻⁴ on others; tested on the first 500 test images of each class, curves on the first 100. Accuracies are ' +
    'far below the paper’s for that reason; only differences can be compared with the paper’s.',
};

export const COSINE_W: HeadConfig = { loss: 'angular', operator: 'cosine', margin: 1 };
/**
 * A-Softmax has the annealing of the authors' SphereFace code; whether the paper's had one is not known. In `quick` both
 * have it and ten times as fast, so that λ is at its least, 5, after a third of the training.
 */
export const LARGE_MARGINS: Readonly<Record<Budget, { aSoftmax: HeadConfig; gaSoftmax: HeadConfig }>> = {
  full: {
    aSoftmax: { loss: 'angular', operator: 'cosine', margin: 4, annealing: {} },
    gaSoftmax: { loss: 'angular', operator: 'linear', margin: 4 },
  },
  quick: {
    aSoftmax: { loss: 'angular', operator: 'cosine', margin: 4, annealing: { gamma: 1.2 } },
    gaSoftmax: { loss: 'angular', operator: 'linear', margin: 4, annealing: { gamma: 1.2 } },
  },
};
/** What a report says of them. */
export const MARGIN_REMARK =
  'A margin of 4 does not train from the start in a short run: in the quick setting both losses with a margin mix the ' +
  'target’s logit with λ parts of one without margin, λ = max(5, 1000 / (1 + 1.2 · step)), so that a sixth of the margin is ' +
  'in force in the end. In the full setting A-Softmax does the same with 0.12 in place of 1.2, as the authors’ SphereFace ' +
  'code has it, and GA-Softmax has its whole margin from the start.';
