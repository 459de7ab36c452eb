import { accuracyDots, FINAL_ACCURACY, learningCurves, TRAINING_LOSS } from '../classifier_figures';
import { crossSeeds } from '../experiment';
import type { Experiment } from '../experiment';
import { classifier, OPERATORS, SETTING } from './settings';
import type { Changes } from './settings';

const COLUMN = 'CNN-18, softmax';

const sphere = (orthogonality: number): Changes => ({ model: OPERATORS.cosine, training: { orthogonality } });

const METHODS: readonly (readonly [string, Changes])[] = [
  ['CNN', { model: OPERATORS.original }],
  ['SphereNet', sphere(0)],
  ['SphereNet, orthogonality 10⁻⁴', sphere(1e-4)],
  ['SphereNet, orthogonality 10⁻³', sphere(1e-3)],
  ['SphereNet, orthogonality 10⁻²', sphere(1e-2)],
];

export const orthogonality: Experiment = {
  name: 'orthogonality',
  title: 'Orthogonality of filters',
  question: 'Does the regulariser ‖WᵀW − I‖² help SphereNets?',
  rowTitle: 'Network',
  needs: ['cifar10'],
  measures: [FINAL_ACCURACY, TRAINING_LOSS],
  references: [],
  remarks: [
    'There is no table to compare with: the paper shows curves of CNN-18 and SphereNet-18. Its coefficient is 10⁻⁴ in the ' +
      'authors’ code; the larger ones are here because a short training leaves a small one little time.',
  ],
  plan({ budget, seeds }) {
    const isFull = budget === 'full';
    const cells = METHODS.map(([row, changes]) => ({
      row,
      column: COLUMN,
      config: (seed: number) =>
        classifier(budget, seed, changes, {
          architecture: isFull ? { depth: 18 } : { depth: 18, widths: [8, 12, 16], features: 32 },
        }),
    }));
    return {
      runs: crossSeeds(cells, seeds ?? 3),
      setting: `${SETTING[budget]} Here the network is CNN-18${isFull ? '' : ' with 8, 12 and 16 channels and 32 features'}.`,
    };
  },
  figures: (runs) => ({
    'accuracy.svg': accuracyDots(runs, 'Orthogonality', 'row'),
    'curves.svg': learningCurves(runs, 'Orthogonality', ({ row }) => row),
  }),
};
