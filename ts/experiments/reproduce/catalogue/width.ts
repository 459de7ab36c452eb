import { accuracyDots, FINAL_ACCURACY, TRAINING_LOSS } from '../classifier_figures';
import { crossSeeds } from '../experiment';
import type { Experiment } from '../experiment';
import { operatorLabel } from '../labels';
import { classifier, OPERATORS, SETTING } from './settings';

type Widths = readonly [number, number, number];

const FULL_WIDTHS: readonly Widths[] = [
  [16, 32, 48],
  [32, 64, 96],
  [64, 96, 128],
  [128, 192, 256],
  [256, 384, 512],
];
const QUICK_WIDTHS: readonly Widths[] = [
  [4, 6, 8],
  [8, 12, 16],
  [16, 24, 32],
  [32, 48, 64],
];
const COMPARED = {
  full: [OPERATORS.sigmoid03, OPERATORS.cosine, OPERATORS.original],
  quick: [OPERATORS.cosine, OPERATORS.original],
};

export const width: Experiment = {
  name: 'width',
  title: 'Width',
  question:
    'Does the gain of SphereConv grow with the number of filters, and is it a loss where there are few?',
  rowTitle: 'Operator \\ channels',
  needs: ['cifar10'],
  measures: [FINAL_ACCURACY, TRAINING_LOSS],
  references: [],
  remarks: [
    'There is no table to compare with: the paper shows curves. The authors’ README says: "more accuracy gain with ' +
      'larger filter number. If the filter number is very small, SphereNets may yield slightly worse accuracy".',
  ],
  plan({ budget, seeds }) {
    const isFull = budget === 'full';
    const cells = (isFull ? FULL_WIDTHS : QUICK_WIDTHS).flatMap((widths) =>
      COMPARED[budget].map((operator) => ({
        row: operatorLabel(operator),
        column: widths.join('/'),
        config: (seed: number) => classifier(budget, seed, { model: operator, architecture: { widths } }),
      })),
    );
    return {
      runs: crossSeeds(cells, seeds ?? 3),
      setting: `${SETTING[budget]} Here the channels vary.`,
    };
  },
  figures: (runs) => ({ 'accuracy.svg': accuracyDots(runs, 'Channels of the three blocks') }),
};
