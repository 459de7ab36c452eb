import { accuracyDots, FINAL_ACCURACY, TRAINING_LOSS } from '../classifier_figures';
import { crossSeeds } from '../experiment';
import type { Experiment } from '../experiment';
import { operatorLabel } from '../labels';
import { referenceTable } from '../references';
import { classifier, OPERATORS, SETTING } from './settings';

const WITHOUT = 'Without ReLU';

export const noRelu: Experiment = {
  name: 'no-relu',
  title: 'Without ReLU',
  question: 'Is the angle nonlinearity enough for a network without ReLU?',
  rowTitle: 'Operator, CNN-18',
  needs: ['cifar10'],
  measures: [FINAL_ACCURACY, TRAINING_LOSS],
  references: referenceTable('recalled', [WITHOUT], {
    'Sigmoid(0.1)': [86.29],
    'Sigmoid(0.3)': [85.67],
    'Sigmoid(0.7)': [85.51],
    Linear: [85.34],
    Cosine: [85.25],
    'Original convolution': [80.73],
  }),
  remarks: [
    'With batch norm and softmax. Max pools remain; without ReLU they are the only nonlinearity of the CNN.',
  ],
  plan({ budget, seeds }) {
    const isFull = budget === 'full';
    const { sigmoid03, linear, cosine, original } = OPERATORS;
    const compared = isFull ? Object.values(OPERATORS) : [sigmoid03, linear, cosine, original];
    const cells = compared.flatMap((operator) =>
      [false, true].map((relu) => ({
        row: operatorLabel(operator),
        column: relu ? 'With ReLU' : WITHOUT,
        config: (seed: number) =>
          classifier(budget, seed, {
            model: { ...operator, relu },
            architecture: isFull ? { depth: 18 } : { depth: 18, widths: [8, 12, 16], features: 32 },
          }),
      })),
    );
    return {
      runs: crossSeeds(cells, seeds ?? (isFull ? 3 : 2)),
      setting: `${SETTING[budget]} Here the network is CNN-18${isFull ? '' : ' with 8, 12 and 16 channels and 32 features'}.`,
      leftOut: isFull ? undefined : 'Two of the three sigmoids are left out.',
    };
  },
  figures: (runs) => ({ 'accuracy.svg': accuracyDots(runs, 'With and without ReLU', 'row') }),
};
