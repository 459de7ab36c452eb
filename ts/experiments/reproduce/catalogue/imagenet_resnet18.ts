import { accuracyDots, FINAL_ACCURACY, learningCurves, TRAINING_LOSS } from '../classifier_figures';
import { crossSeeds } from '../experiment';
import type { Budget, Experiment } from '../experiment';
import { classifier, OPERATORS, SETTING } from './settings';
import type { Changes } from './settings';

const COLUMNS: Readonly<Record<Budget, string>> = { quick: '64 × 64', full: 'ImageNet' };
const WIDTHS: Readonly<Record<Budget, readonly [number, number, number, number]>> = {
  quick: [16, 32, 64, 128],
  full: [64, 128, 256, 512],
};

const network = (variant: 'v1' | 'v2', operator: Changes['model'], budget: Budget): Changes => ({
  ...(operator !== undefined && { model: operator }),
  architecture: { name: 'resNet18', widths: WIDTHS[budget], variant },
});

const NETWORKS: readonly (readonly [string, 'v1' | 'v2', Changes['model']])[] = [
  ['ResNet-18', 'v2', OPERATORS.original],
  ['SphereResNet-18 v1', 'v1', OPERATORS.cosine],
  ['SphereResNet-18 v2', 'v2', OPERATORS.cosine],
];

/** What `train.presets.imageNet` is, as data, and images of the usual sizes. */
const IMAGENET: Changes = {
  model: { batchNorm: { decay: 0.9, epsilon: 1e-5 }, head: { loss: 'softmax', bias: true } },
  training: {
    optimizer: { name: 'sgd', lr: 0.1, momentum: 0.9, weightDecay: 5e-4 },
    schedule: { milestones: [200_000, 375_000] },
    length: { steps: 550_000 },
    batchSize: 256,
    augment: 'cropFlip',
  },
  data: { source: 'imagenet', size: 224, resize: 256 },
};

const CHANGES: Readonly<Record<Budget, Changes>> = { quick: { data: { size: 64 } }, full: IMAGENET };

const SETTINGS: Readonly<Record<Budget, string>> = {
  quick:
    `${SETTING.quick} Here the network is ResNet-18 with 16, 32, 64 and 128 channels, and the images are those of ` +
    'CIFAR-10 enlarged to 64 × 64 pixels: this is not ImageNet, and shows the architecture only.',
  full:
    'The paper’s as far as it is recalled, not verified: ImageNet-2012, SGD with momentum 0.9 at 0.1 with a tenth of it ' +
    'after 200,000 and 375,000 of 550,000 steps, and minimal augmentation. Assumed, because not known: batches of 256; ' +
    'ResNet-18 with 64, 128, 256 and 512 channels; pictures scaled to 256 pixels on the shorter side, of which training ' +
    'sees a window of 224 × 224 anywhere, mirrored in half of the cases, and the test the centre; batch norm with decay ' +
    '0.9. Orthogonality 10⁻⁴ on sphere kernels and weight decay 5·10⁻⁴ on others are from the authors’ code for CIFAR. ' +
    'Tested on all images of val.',
};

export const imagenetResnet18: Experiment = {
  name: 'imagenet-resnet18',
  title: 'ResNet-18 with stride and shortcuts',
  question:
    'Does SphereConv speed up ResNet-18 as on ImageNet, with and without SphereConv in its shortcuts?',
  rowTitle: 'Network',
  needs: { quick: ['cifar10'], full: ['imagenet'] },
  measures: [FINAL_ACCURACY, TRAINING_LOSS],
  references: [],
  remarks: [
    'v1 has SphereConv in the 1×1 shortcuts too, v2 does not. There is no table to compare with: the paper shows curves of ' +
      'ImageNet and says (recalled, not verified) that v1 converges fastest and ends slightly worse, and that v2 is faster ' +
      'and slightly better than ResNet-18. Which operator it used is not known; here it is cosine.',
  ],
  plan({ budget, seeds }) {
    const cells = NETWORKS.map(([row, variant, operator]) => ({
      row,
      column: COLUMNS[budget],
      config: (seed: number) => classifier(budget, seed, network(variant, operator, budget), CHANGES[budget]),
    }));
    return { runs: crossSeeds(cells, seeds ?? (budget === 'full' ? 2 : 3)), setting: SETTINGS[budget] };
  },
  figures: (runs) => ({
    'accuracy.svg': accuracyDots(runs, 'ResNet-18', 'row'),
    'curves.svg': learningCurves(runs, 'ResNet-18', ({ row }) => row),
    'loss.svg': learningCurves(runs, 'ResNet-18', ({ row }) => row, 'trainLoss'),
  }),
};
