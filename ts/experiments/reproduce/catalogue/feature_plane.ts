import { FASHION_MNIST_CLASSES } from '../../../data/fashion_mnist';
import { crossSeeds } from '../experiment';
import type { Experiment, FinishedRun, Measure } from '../experiment';
import { planesFigure } from '../figures';
import type { FeaturePlaneConfig } from '../config';
import type { FeaturePlaneOutcome, Outcome } from '../outcome';

const COLUMN = 'two features';

function measure(
  title: string,
  read: (outcome: FeaturePlaneOutcome) => number,
  format: (value: number) => string,
): Measure {
  return {
    title,
    format,
    read: (outcome: Outcome) => (outcome.kind === 'featurePlane' ? read(outcome) : null),
  };
}

export const featurePlaneExperiment: Experiment = {
  name: 'feature-plane',
  title: 'Features of two dimensions',
  question:
    'Do the features of a SphereNet differ in direction only, where those of a plain CNN are long streaks from the origin?',
  rowTitle: 'Network',
  needs: [],
  measures: [
    measure(
      'Final test accuracy, %',
      ({ plane }) => plane.accuracy,
      (share) => (100 * share).toFixed(2),
    ),
    measure(
      'Spread of lengths within a class (standard deviation / mean)',
      ({ lengthSpread }) => lengthSpread,
      (value) => value.toFixed(3),
    ),
    measure(
      'Mean angle to the direction of the class, degrees',
      ({ angleSpread }) => angleSpread,
      (value) => value.toFixed(2),
    ),
  ],
  references: [],
  remarks: [
    'The authors show this picture for MNIST, without numbers: streaks for the CNN, compact clusters on a ring for SphereNet.',
  ],
  plan({ budget, seeds }) {
    const epochs = budget === 'full' ? 40 : 8;
    const networks: readonly FeaturePlaneConfig['network'][] = ['plain', 'sphere'];
    const cells = networks.map((network) => ({
      row: network === 'plain' ? 'Plain CNN, softmax' : 'SphereNet, W-Softmax',
      column: COLUMN,
      config: (seed: number): FeaturePlaneConfig => ({
        kind: 'featurePlane',
        network,
        epochs,
        batchSize: 64,
        seed,
      }),
    }));
    return {
      runs: crossSeeds(cells, seeds ?? (budget === 'full' ? 5 : 3)),
      setting:
        `Three convolutions with 16, 32 and 64 channels, then two features, on the part of Fashion-MNIST that comes ` +
        `with this package (10,000 training and 2,500 test images): ${epochs} epochs of batches of 64, Adam at 0.003 ` +
        `falling to 0 along half a cosine. The paper’s picture is of MNIST.`,
    };
  },
  figures: (runs) => ({
    'features.svg': {
      svg: planesFigure(firstSeed(runs), FASHION_MNIST_CLASSES),
      caption:
        'The two features of each test image for seed 1; a colour for each class. Each plane has a scale of its own.',
    },
  }),
};

function firstSeed(runs: readonly FinishedRun[]): FeaturePlaneOutcome['plane'][] {
  const seed = Math.min(...runs.map(({ config }) => config.seed));
  return runs.flatMap(({ outcome, config }) =>
    outcome.kind === 'featurePlane' && config.seed === seed ? [outcome.plane] : [],
  );
}
