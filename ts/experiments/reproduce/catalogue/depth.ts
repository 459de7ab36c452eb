import { accuracyDots, FINAL_ACCURACY, learningCurves, TRAINING_LOSS } from '../classifier_figures';
import { crossSeeds } from '../experiment';
import type { Experiment } from '../experiment';
import { operatorLabel } from '../labels';
import { referenceTable } from '../references';
import { classifier, COSINE_W, OPERATORS, SETTING } from './settings';
import type { Changes } from './settings';

const DEPTHS = { full: [3, 9, 18, 45, 60, 69], quick: [9, 45, 69] };
const QUICK_OPERATORS = [OPERATORS.cosine, OPERATORS.original];
const RESNET: Changes['architecture'] = { name: 'resNet32', widths: [96, 192, 384] };

export const depth: Experiment = {
  name: 'depth',
  title: 'Depth',
  question: 'Do plain networks of SphereConvs train at depths where ordinary ones do not, up to 69 layers?',
  rowTitle: 'Operator \\ network',
  needs: ['cifar10'],
  measures: [FINAL_ACCURACY, TRAINING_LOSS],
  references: referenceTable('recalled', ['CNN-3', 'CNN-9', 'CNN-18', 'CNN-45', 'CNN-60', 'ResNet-32'], {
    'Sigmoid(0.1)': [82.08, 91.13, 91.43, 89.34, 87.67, 90.94],
    'Sigmoid(0.3)': [81.92, 91.28, 91.55, 89.73, 87.85, 91.7],
    'Sigmoid(0.7)': [82.4, 91.18, 91.69, 89.85, 88.42, 91.19],
    Linear: [82.31, 91.15, 91.24, 90.15, 89.91, 91.25],
    Cosine: [82.23, 90.99, 91.23, 90.05, 89.28, 91.38],
    'Original convolution': [81.19, 90.68, 90.62, 88.23, 88.15, 90.4],
  }),
  remarks: [
    'Angular operators are followed by cosine W-Softmax, the original convolution by softmax, as in the paper. Of 69 layers ' +
      'the paper says (recalled, not verified) that cosine reaches nearly 90 % and the CNN is hard to train.',
  ],
  plan({ budget, seeds }) {
    const isFull = budget === 'full';
    const networks: (readonly [string, Changes['architecture']])[] = [
      ...DEPTHS[budget].map(
        (layers) =>
          [
            `CNN-${layers}`,
            { depth: layers, ...(isFull ? {} : { widths: [24, 32, 48] as const, features: 64 }) },
          ] as const,
      ),
      ...(isFull ? [['ResNet-32', RESNET] as const] : []),
    ];
    const cells = (isFull ? Object.values(OPERATORS) : QUICK_OPERATORS).flatMap((operator) =>
      networks.map(([column, architecture]) => ({
        row: operatorLabel(operator),
        column,
        config: (seed: number) =>
          classifier(budget, seed, {
            model: { ...operator, ...(operator.operator !== 'none' && { head: COSINE_W }) },
            ...(architecture !== undefined && { architecture }),
            ...(!isFull && { training: { length: { epochs: 5 }, batchSize: 32 }, data: { size: 16 } }),
          }),
      })),
    );
    return {
      runs: crossSeeds(cells, seeds ?? (isFull ? 3 : 2)),
      setting:
        `${SETTING[budget]} Here the depth varies` +
        (isFull
          ? '.'
          : ', with 24, 32 and 48 channels, images at half their size, 16 × 16 pixels, and 5 epochs of batches of 32.'),
      leftOut: isFull ? undefined : 'CNN-3, CNN-18, CNN-60, ResNet-32, linear and the sigmoids are left out.',
    };
  },
  figures: (runs) => ({
    'accuracy.svg': accuracyDots(runs, 'Depth'),
    'cnn-69.svg': learningCurves(
      runs.filter(({ column }) => column === 'CNN-69'),
      '69 layers',
      ({ row }) => row,
    ),
    'cnn-69-loss.svg': learningCurves(
      runs.filter(({ column }) => column === 'CNN-69'),
      '69 layers',
      ({ row }) => row,
      'trainLoss',
    ),
  }),
};
