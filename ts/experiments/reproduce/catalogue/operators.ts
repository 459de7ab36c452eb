import { accuracyDots, FINAL_ACCURACY, TRAINING_LOSS } from '../classifier_figures';
import type { Operator } from '../config';
import { crossSeeds } from '../experiment';
import type { Experiment } from '../experiment';
import { capital, operatorLabel } from '../labels';
import { classifier, SETTING } from './settings';

const MAGNITUDES = ['sphere', 'ball', 'tanh', 'linear', 'segmented', 'logarithmic', 'mixed'] as const;
const ANGULAR = ['linear', 'cosine', 'squaredCosine'] as const;
const QUICK_ANGULAR = ['cosine', 'squaredCosine'] as const;

function operatorOf(magnitude: (typeof MAGNITUDES)[number], angular: (typeof ANGULAR)[number]): Operator {
  return magnitude === 'sphere' ? angular : { magnitude, angular };
}

export const operators: Experiment = {
  name: 'operators',
  title: 'Decoupled operators',
  question: 'Which magnitude h(‖x‖) goes with which angular function g(θ)?',
  rowTitle: 'h(‖x‖) \\ g(θ)',
  needs: ['cifar10'],
  measures: [FINAL_ACCURACY, TRAINING_LOSS],
  references: [],
  remarks: [
    'The operators are those of the follow-up work (Decoupled Networks, 2018), which compares them on CIFAR-100; there are ' +
      'no figures for this setting. The radius of ball, tanh and segmented is the mean norm of the patches.',
  ],
  plan({ budget, seeds }) {
    const grid = MAGNITUDES.flatMap((magnitude) =>
      (budget === 'full' ? ANGULAR : QUICK_ANGULAR).map((angular) => ({
        row: capital(magnitude),
        column: operatorLabel({ operator: angular }),
        operator: operatorOf(magnitude, angular),
      })),
    );
    const all = [
      ...grid,
      { row: 'Original convolution', column: 'inner product', operator: 'none' as const },
    ];
    const cells = all.map(({ row, column, operator }) => ({
      row,
      column,
      config: (seed: number) =>
        classifier(budget, seed, {
          model: { operator },
          ...(budget === 'quick' && { architecture: { widths: [8, 12, 16], features: 32 } }),
        }),
    }));
    return {
      runs: crossSeeds(cells, seeds ?? (budget === 'full' ? 3 : 2)),
      setting: `${SETTING[budget]}${budget === 'full' ? '' : ' Here it has 8, 12 and 16 channels and 32 features.'}`,
      leftOut: budget === 'full' ? undefined : 'Of the angular functions the linear one is left out.',
    };
  },
  figures: (runs) => ({ 'accuracy.svg': accuracyDots(runs, 'Magnitudes and angular functions', 'row') }),
};
