import { accuracyDots, FINAL_ACCURACY, learningCurves, TRAINING_LOSS } from '../classifier_figures';
import { crossSeeds } from '../experiment';
import type { Experiment } from '../experiment';
import { classifier, OPERATORS, SETTING } from './settings';
import type { Changes } from './settings';

const BATCHES = [4, 8, 16, 32];

const METHODS: readonly (readonly [string, Changes])[] = [
  ['BatchNorm', { model: OPERATORS.original }],
  ['SphereNorm', { model: { ...OPERATORS.cosine, norm: 'none' }, training: { orthogonality: 0 } }],
  ['Rescaled SphereNorm', { model: { ...OPERATORS.cosine, norm: 'sphere' }, training: { orthogonality: 0 } }],
  ['SphereNorm with orthogonality', { model: { ...OPERATORS.cosine, norm: 'none' } }],
  ['SphereNorm + BatchNorm', { model: OPERATORS.cosine, training: { orthogonality: 0 } }],
];

export const sphereNorm: Experiment = {
  name: 'sphere-norm',
  title: 'SphereNorm and batch norm at small batches',
  question: 'Does SphereConv normalise as well as batch norm where batches are small?',
  rowTitle: 'Normalisation \\ batch size',
  needs: ['cifar10'],
  measures: [FINAL_ACCURACY, TRAINING_LOSS],
  references: [],
  remarks: [
    'There is no table to compare with: the paper shows curves and says (recalled, not verified) that SphereNorm ends as ' +
      'batch norm does, converges faster, is helped a little by orthogonality, that the rescaled one does not work well, ' +
      'and that SphereNorm with BatchNorm is best.',
  ],
  plan({ budget, seeds }) {
    const isFull = budget === 'full';
    const cells = METHODS.flatMap(([row, changes]) =>
      BATCHES.map((batchSize) => ({
        row,
        column: String(batchSize),
        config: (seed: number) =>
          classifier(budget, seed, changes, {
            training: { batchSize, ...(!isFull && { length: { epochs: 4 }, ...QUICK_RATE }) },
            ...(!isFull && { architecture: { widths: [8, 12, 16], features: 32 } }),
          }),
      })),
    );
    return {
      runs: crossSeeds(cells, seeds ?? (isFull ? 3 : 2)),
      setting:
        `${SETTING[budget]} Here the batch size varies at one learning rate` +
        `${isFull ? ', 0.001' : ', 0.001, with 8, 12 and 16 channels, 32 features and 4 epochs'}.`,
    };
  },
  figures: (runs) => ({
    'accuracy.svg': accuracyDots(runs, 'Normalisation by batch size'),
    'batch-4.svg': learningCurves(
      runs.filter(({ column }) => column === '4'),
      'Batches of 4',
      ({ row }) => row,
    ),
  }),
};

/** Twice this is too much for batches of 4. */
const QUICK_RATE: Changes['training'] = { optimizer: { name: 'adam', lr: 1e-3, weightDecay: 5e-4 } };
