import { accuracyDots, FINAL_ACCURACY, learningCurves, TRAINING_LOSS } from '../classifier_figures';
import { crossSeeds } from '../experiment';
import type { Budget, Experiment } from '../experiment';
import { referenceTable } from '../references';
import { classifier, COSINE_W, LARGE_MARGINS, MARGIN_REMARK, OPERATORS, SETTING } from './settings';
import type { Changes } from './settings';

const methods = (budget: Budget): readonly (readonly [string, NonNullable<Changes['model']>])[] => [
  ['ResNet-32, softmax', OPERATORS.original],
  ['S-SW', { ...OPERATORS.sigmoid03, head: { loss: 'angular', operator: 'sigmoid', k: 0.3, margin: 1 } }],
  ['L-LW', { ...OPERATORS.linear, head: { loss: 'angular', operator: 'linear', margin: 1 } }],
  ['C-CW', { ...OPERATORS.cosine, head: COSINE_W }],
  ['S-G', { ...OPERATORS.sigmoid03, head: LARGE_MARGINS[budget].gaSoftmax }],
];

export const resnet32: Experiment = {
  name: 'resnet32',
  title: 'ResNet-32 on CIFAR-10+ and CIFAR-100',
  question: 'Do SphereConv and angular losses help a residual network with full augmentation?',
  rowTitle: 'Method',
  needs: ['cifar10'],
  measures: [FINAL_ACCURACY, TRAINING_LOSS],
  references: [
    ...referenceTable('recalled', ['CIFAR-10+', 'CIFAR-100'], {
      'ResNet-32, softmax': [93.26, 72.85],
      'S-SW': [94.47, 76.02],
      'L-LW': [94.33, 75.62],
      'C-CW': [94.64, 74.92],
      'S-G': [95.01, 76.39],
    }),
    ...referenceTable('logs', ['CIFAR-10+'], { 'ResNet-32, softmax': [92.99] }),
  ],
  remarks: [
    'S, L, C: sigmoid (k = 0.3), linear and cosine SphereConv; SW, LW, CW: W-Softmax with the same function; G: linear ' +
      'GA-Softmax with margin 4. Moved images are filled with black here, with mirrored pixels in the authors’ code. The ' +
      'authors’ logs also have linear SphereConv with softmax: 94.63.',
    MARGIN_REMARK,
  ],
  plan({ budget, seeds, hasCifar100 = false }) {
    const isFull = budget === 'full';
    const architecture: Changes['architecture'] = {
      name: 'resNet32',
      widths: isFull ? [96, 192, 384] : [8, 16, 32],
    };
    const sources = [
      ['CIFAR-10+', 'cifar10'] as const,
      ...(hasCifar100 ? [['CIFAR-100', 'cifar100'] as const] : []),
    ];
    const cells = methods(budget).flatMap(([row, model]) =>
      sources.map(([column, source]) => ({
        row,
        column,
        config: (seed: number) =>
          classifier(budget, seed, {
            model,
            architecture,
            training: { augment: 'cropFlip' },
            data: {
              source,
              ...(!isFull &&
                source === 'cifar100' && { trainPerClass: 50, testPerClass: 50, curvePerClass: 10 }),
            },
          }),
      })),
    );
    return {
      runs: crossSeeds(cells, seeds ?? (isFull ? 3 : 2)),
      setting:
        `${SETTING[budget]} Here the network is ResNet-32 with ${isFull ? '96, 192 and 384' : '8, 16 and 32'} channels, ` +
        `and images are also moved by up to 4 pixels.`,
      leftOut: hasCifar100
        ? undefined
        : 'CIFAR-100 is left out, because no folder was given for it (--cifar100).',
    };
  },
  figures: (runs) => ({
    'accuracy.svg': accuracyDots(runs, 'ResNet-32'),
    'curves.svg': learningCurves(
      runs.filter(({ column }) => column === 'CIFAR-10+'),
      'ResNet-32 on CIFAR-10+',
      ({ row }) => row,
    ),
  }),
};
