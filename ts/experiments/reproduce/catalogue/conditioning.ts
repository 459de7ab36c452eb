import type { DescentConfig, FactorSizes, SpectrumConfig } from '../config';
import { crossSeeds } from '../experiment';
import type { Cell, Experiment, Figure, FinishedRun, Measure } from '../experiment';
import { lineFigure } from '../figures';
import type { Points } from '../figures';
import { groupBy } from '../statistics';

const SIZES: FactorSizes = { n: 12, m: 15, k: 4 };
const SCALES = [1, 2, 4, 8, 16];
const DESCENT_SCALES = [1, 2, 4];
const ITERATIONS = { quick: 3000, full: 30_000 };

type Matrix = Pick<SpectrumConfig, 'problem' | 'coordinates' | 'method'>;

const MATRICES: readonly (readonly [string, Matrix])[] = [
  ['G by U and V', { problem: 'plain', coordinates: 'euclidean', method: 'eigenvalues' }],
  ['G by U and V, closed form', { problem: 'plain', coordinates: 'euclidean', method: 'closedForm' }],
  ['G_S by U and V', { problem: 'sphere', coordinates: 'euclidean', method: 'eigenvalues' }],
  [
    'G, rows in units of their length',
    { problem: 'plain', coordinates: 'normalized', method: 'eigenvalues' },
  ],
  [
    'G_S, rows in units of their length',
    { problem: 'sphere', coordinates: 'normalized', method: 'eigenvalues' },
  ],
];

const DESCENTS: readonly (readonly [string, DescentConfig['problem']])[] = [
  ['Descent on G', 'plain'],
  ['Descent on G_S, rows of any length', 'sphere'],
  ['Descent on G_S, rows kept at length 1', 'projected'],
];

const CONDITION: Measure = {
  title: 'Condition number of the Hessian at (c·U, V/c)',
  read: (outcome) => (outcome.kind === 'spectrum' ? outcome.condition : null),
  format: (value) => (value >= 1e5 ? value.toExponential(2) : Number(value.toPrecision(4)).toString()),
};

const ITERATIONS_NEEDED: Measure = {
  title: 'Iterations of gradient descent from (c·U₀, V₀/c) until the loss is at most 10⁻⁶',
  read: (outcome) => (outcome.kind === 'descent' ? outcome.reached : null),
  absent: (outcome) => (outcome.kind === 'descent' && outcome.reached === null ? 'not reached' : null),
  format: (value) => Math.round(value).toLocaleString('en-US'),
};

export const conditioning: Experiment = {
  name: 'conditioning',
  title: 'Conditioning',
  question:
    'Does the normalisation of SphereConv make optimisation better conditioned, as the paper’s theory of one linear layer says?',
  rowTitle: 'Problem',
  needs: [],
  measures: [CONDITION, ITERATIONS_NEEDED],
  references: [],
  remarks: [
    'The condition number is the largest eigenvalue over the smallest that is not 0. Lemma 1 of the paper (recalled, not ' +
      'verified) says that for G it grows at least like c²; the closed form shows that it grows like c⁴ where U has more ' +
      'rows than columns.',
    'Lemma 2 (recalled, not verified) says that for G_S no eigenvalue depends on c. For derivatives by U and V this is not ' +
      'so: G_S depends on the directions of rows only, so its Hessian by U shrinks like 1/c² and that by V grows like c². ' +
      'It holds where each row is measured in units of its length, which is to say where rows are kept at length 1. In ' +
      'those units the spectrum of G does not depend on c either: what helps is the coordinates, and G_S is the problem ' +
      'for which they come naturally.',
    'Descent: each curve has the best of ten constant learning rates, 2 to 2⁻³·⁵ times 1 / (largest eigenvalue at the optimum).',
  ],
  plan({ budget, seeds }) {
    const iterations = ITERATIONS[budget];
    const spectra: Cell[] = MATRICES.flatMap(([row, matrix]) =>
      SCALES.map((c) => ({
        row,
        column: `c = ${c}`,
        config: (seed: number) => ({ kind: 'spectrum' as const, ...matrix, ...SIZES, c, seed }),
      })),
    );
    const descents: Cell[] = DESCENTS.flatMap(([row, problem]) =>
      DESCENT_SCALES.map((c) => ({
        row,
        column: `c = ${c}`,
        config: (seed: number) => ({ kind: 'descent' as const, problem, ...SIZES, c, iterations, seed }),
      })),
    );
    return {
      runs: crossSeeds([...spectra, ...descents], seeds ?? 5),
      setting:
        `F = U Vᵀ with ${SIZES.n} and ${SIZES.m} rows of ${SIZES.k} numbers in random directions, in float64. ` +
        `Hessians are those at the optimum; descent takes ${iterations.toLocaleString('en-US')} iterations.`,
    };
  },
  figures: (runs) => ({
    'condition.svg': conditionFigure(runs),
    'descent.svg': descentFigure(runs),
  }),
};

function conditionFigure(runs: readonly FinishedRun[]): Figure {
  const spectra = [...groupBy(runs, ({ row }) => row)].flatMap(([name, own]) => {
    const bySeed = [...groupBy(own, ({ config }) => String(config.seed)).values()];
    const lines = bySeed.map((members): Points =>
      members.flatMap(({ config, outcome }) =>
        config.kind === 'spectrum' && outcome.kind === 'spectrum'
          ? [[config.c, outcome.condition] as const]
          : [],
      ),
    );
    return lines.every((line) => line.length === 0) || name.endsWith('closed form') ? [] : [{ name, lines }];
  });
  const title = 'Condition number at (c·U, V/c)';
  return {
    svg: lineFigure(spectra, { title, x: 'c', y: 'condition number', log: { x: true, y: true } }),
    caption: `${title}, for random factors of each seed (thin) and in their geometric mean (thick).`,
  };
}

function descentFigure(runs: readonly FinishedRun[]): Figure {
  const descents = runs.filter(({ outcome }) => outcome.kind === 'descent');
  const series = [
    ...groupBy(descents, ({ row, column }) => `${row.replace('Descent on ', '')}, ${column}`),
  ].map(([name, own]) => ({
    name,
    lines: own.map(({ outcome }): Points => (outcome.kind === 'descent' ? outcome.curve : [])),
  }));
  const title = 'Gradient descent from (c·U₀, V₀/c)';
  return {
    svg: lineFigure(series, { title, x: 'iteration', y: 'loss', log: { x: true, y: true }, lowest: 1e-12 }),
    caption: `${title}: loss. Thin lines are seeds, thick ones their geometric mean.`,
  };
}
