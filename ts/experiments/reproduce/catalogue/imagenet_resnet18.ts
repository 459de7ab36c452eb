import { accuracyDots, FINAL_ACCURACY, learningCurves, TRAINING_LOSS } from '../classifier_figures';
import { crossSeeds } from '../experiment';
import type { Experiment } from '../experiment';
import { classifier, OPERATORS, SETTING } from './settings';
import type { Changes } from './settings';

const COLUMN = '64 × 64';

const network = (variant: 'v1' | 'v2', operator: Changes['model']): Changes => ({
  ...(operator !== undefined && { model: operator }),
  architecture: { name: 'resNet18', widths: [16, 32, 64, 128], variant },
});

const NETWORKS: readonly (readonly [string, Changes])[] = [
  ['ResNet-18', network('v2', OPERATORS.original)],
  ['SphereResNet-18 v1', network('v1', OPERATORS.cosine)],
  ['SphereResNet-18 v2', network('v2', OPERATORS.cosine)],
];

export const imagenetResnet18: Experiment = {
  name: 'imagenet-resnet18',
  title: 'ResNet-18 with stride and shortcuts',
  question:
    'Does SphereConv speed up ResNet-18 as on ImageNet, with and without SphereConv in its shortcuts?',
  rowTitle: 'Network',
  budgets: ['quick'],
  needs: ['cifar10'],
  measures: [FINAL_ACCURACY, TRAINING_LOSS],
  references: [],
  remarks: [
    'v1 has SphereConv in the 1×1 shortcuts too, v2 does not. There is no table to compare with: the paper shows curves of ' +
      'ImageNet and says (recalled, not verified) that v1 converges fastest and ends slightly worse, and that v2 is faster ' +
      'and slightly better than ResNet-18. Which operator it used is not known; here it is cosine.',
  ],
  plan({ budget, seeds }) {
    const cells = NETWORKS.map(([row, changes]) => ({
      row,
      column: COLUMN,
      config: (seed: number) => classifier(budget, seed, changes, { data: { size: 64 } }),
    }));
    return {
      runs: crossSeeds(cells, seeds ?? 3),
      setting:
        `${SETTING.quick} Here the network is ResNet-18 with 16, 32, 64 and 128 channels, and the images are those of ` +
        'CIFAR-10 enlarged to 64 × 64 pixels: this is not ImageNet, and shows the architecture only.',
    };
  },
  figures: (runs) => ({
    'accuracy.svg': accuracyDots(runs, 'ResNet-18', 'row'),
    'curves.svg': learningCurves(runs, 'ResNet-18', ({ row }) => row),
    'loss.svg': learningCurves(runs, 'ResNet-18', ({ row }) => row, 'trainLoss'),
  }),
};
