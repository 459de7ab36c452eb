import { accuracyDots, FINAL_ACCURACY, learningCurves, TRAINING_LOSS } from '../classifier_figures';
import type { HeadConfig } from '../config';
import { crossSeeds } from '../experiment';
import type { Budget, Experiment } from '../experiment';
import { lossLabel, operatorLabel } from '../labels';
import { referenceTable } from '../references';
import { classifier, LARGE_MARGINS, MARGIN_REMARK, OPERATORS, SETTING } from './settings';

const wSoftmax = (operator: 'sigmoid' | 'linear' | 'cosine', k?: number): HeadConfig => ({
  loss: 'angular',
  operator,
  margin: 1,
  ...(k !== undefined && { k }),
});

const SOFTMAX: HeadConfig = { loss: 'softmax' };

/** The paper's columns, in its order. */
const losses = (budget: Budget): HeadConfig[] => [
  SOFTMAX,
  wSoftmax('sigmoid', 0.1),
  wSoftmax('sigmoid', 0.3),
  wSoftmax('sigmoid', 0.7),
  wSoftmax('linear'),
  wSoftmax('cosine'),
  LARGE_MARGINS[budget].aSoftmax,
  LARGE_MARGINS[budget].gaSoftmax,
];
const quickLosses = (): HeadConfig[] => [SOFTMAX, ...losses('quick').slice(-3)];
const QUICK_OPERATORS = [OPERATORS.sigmoid03, OPERATORS.linear, OPERATORS.cosine, OPERATORS.original];

export const lossOperatorTable: Experiment = {
  name: 'loss-operator-table',
  title: 'Losses and operators',
  question: 'Which angular operator goes with which loss, and do both beat the inner product and softmax?',
  rowTitle: 'Operator \\ loss',
  needs: ['cifar10'],
  measures: [FINAL_ACCURACY, TRAINING_LOSS],
  references: referenceTable('recalled', losses('full').map(lossLabel), {
    'Sigmoid(0.1)': [90.97, 90.91, 90.89, 90.88, 91.07, 91.13, 91.87, 91.99],
    'Sigmoid(0.3)': [91.08, 91.44, 91.37, 91.21, 91.34, 91.28, 92.13, 92.38],
    'Sigmoid(0.7)': [91.05, 91.16, 91.47, 91.07, 90.99, 91.18, 92.22, 92.36],
    Linear: [91.1, 90.93, 91.42, 90.96, 90.95, 91.24, 92.21, 92.32],
    Cosine: [90.89, 90.88, 91.08, 91.22, 91.17, 90.99, 91.94, 92.19],
    'Original convolution': [90.58, 90.58, 90.73, 90.78, 91.08, 90.68, 91.78, 91.8],
  }).concat(
    // CNN-9 with 128, 192 and 256 channels, CIFAR-10, mirrored at random.
    ...Object.entries({
      'Sigmoid(0.3)': [91.4],
      Linear: [91.16],
      Cosine: [91.29, 91.22],
      'Original convolution': [90.61],
    }).map(([row, values]) => referenceTable('logs', ['Softmax', 'Cosine W-Softmax'], { [row]: values })),
  ),
  remarks: [
    'The training losses of different columns are different functions; compare them within a column only.',
    MARGIN_REMARK,
  ],
  plan({ budget, seeds }) {
    const isFull = budget === 'full';
    const cells = (isFull ? Object.values(OPERATORS) : QUICK_OPERATORS).flatMap((operator) =>
      (isFull ? losses(budget) : quickLosses()).map((head) => ({
        row: operatorLabel(operator),
        column: lossLabel(head),
        config: (seed: number) =>
          classifier(
            budget,
            seed,
            { model: { ...operator, head } },
            isFull ? {} : { training: { length: { epochs: 5 } } },
          ),
      })),
    );
    return {
      runs: crossSeeds(cells, seeds ?? (isFull ? 3 : 2)),
      setting: `${SETTING[budget]}${isFull ? '' : ' Here it is 5 epochs.'}`,
      leftOut: isFull ? undefined : 'Of the paper’s six operators and eight losses four and four are run.',
    };
  },
  figures: (runs) => ({
    'accuracy.svg': accuracyDots(runs, 'Losses and operators'),
    'curves.svg': learningCurves(
      runs.filter(({ column }) => column === 'Softmax'),
      'Operators, with softmax',
      ({ row }) => row,
    ),
  }),
};
