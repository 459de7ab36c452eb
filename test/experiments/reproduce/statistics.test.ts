import { FINAL_ACCURACY } from '../../../ts/experiments/reproduce/classifier_figures';
import { trainingImages } from '../../../ts/experiments/reproduce/config';
import { spreads } from '../../../ts/experiments/reproduce/execute';
import { lossLabel, operatorLabel } from '../../../ts/experiments/reproduce/labels';
import { cellText, markdownTable } from '../../../ts/experiments/reproduce/markdown';
import { EXPERIMENTS } from '../../../ts/experiments/reproduce';
import { groupBy, spread } from '../../../ts/experiments/reproduce/statistics';
import { canonical, runId } from '../../../ts/experiments/reproduce/store';
import { tinyConfig } from './tiny';

describe('spread', () => {
  it('is mean and sample standard deviation', () => {
    expect(spread([2, 4, 4, 4, 5, 5, 7, 9])).toEqual({ count: 8, mean: 5, deviation: Math.sqrt(32 / 7) });
    expect(spread([0.5])).toEqual({ count: 1, mean: 0.5, deviation: null });
    expect(spread([])).toBeNull();
  });
});

describe('cells of tables', () => {
  const cell = { row: 'a', column: 'b', values: [], absent: [] as string[], missing: 0 };

  it('say how many numbers they stand for', () => {
    const text = (changes: object): string => cellText(FINAL_ACCURACY, { ...cell, spread: null, ...changes });
    const two = { count: 2, mean: 0.61234, deviation: 0.004 };
    expect(text({ spread: two })).toBe('61.23 ± 0.40');
    expect(text({ spread: { count: 1, mean: 0.5, deviation: null } })).toBe('50.00');
    expect(text({ spread: two, absent: ['diverged'], missing: 2 })).toBe(
      '61.23 ± 0.40 (1 diverged, 2 not run)',
    );
    expect(text({ absent: ['diverged', 'diverged'] })).toBe('2 diverged');
    expect(text({})).toBe('–');
    expect(cellText(FINAL_ACCURACY, undefined)).toBe('–');
  });

  it('stand in Markdown, whatever they hold', () => {
    expect(markdownTable(['a', 'b'], [['x|y', '1']])).toBe('| a | b |\n| --- | ---: |\n| x\\|y | 1 |');
  });
});

describe('the name of a run', () => {
  const run = { name: 'Sigmoid(0.3), Softmax, seed 1', row: '', column: '', config: tinyConfig(1) };

  it('is readable and belongs to its configuration and its images', () => {
    const id = runId(run, 'JPEG');
    expect(id).toMatch(/^sigmoid-0.3-softmax-seed-1-[0-9a-f]{8}$/);
    expect(runId({ ...run, config: { ...tinyConfig(1) } }, 'JPEG')).toBe(id);
    expect(runId({ ...run, config: tinyConfig(2) }, 'JPEG')).not.toBe(id);
    expect(runId({ ...run, config: tinyConfig(1, {}, { batchSize: 17 }) }, 'JPEG')).not.toBe(id);
    expect(runId(run, 'binary')).not.toBe(id);
  });

  it('does not depend on the order of keys', () => {
    expect(canonical({ b: [{ d: 1, c: 2 }], a: null })).toBe(canonical({ a: null, b: [{ c: 2, d: 1 }] }));
  });
});

describe('labels', () => {
  it('are those of the references', () => {
    expect(operatorLabel({ operator: 'sigmoid', k: 0.3 })).toBe('Sigmoid(0.3)');
    expect(operatorLabel({ operator: 'none' })).toBe('Original convolution');
    expect(lossLabel({ loss: 'angular', operator: 'cosine', margin: 1 })).toBe('Cosine W-Softmax');
    expect(lossLabel({ loss: 'angular', operator: 'cosine', margin: 4 })).toBe('A-Softmax, m = 4');
    expect(lossLabel({ loss: 'angular', operator: 'linear', margin: 4 })).toBe('GA-Softmax, m = 4');
  });
});

describe('spreads of features', () => {
  it('tell streaks from points of a ring', () => {
    // A class on one line at lengths 1 and 3; a class at ±90° of its mean direction, at one length.
    const plane = { title: '', accuracy: 1, x: [1, 3, 1, -1], y: [0, 0, 1, 1], labels: [0, 0, 1, 1] };
    const { lengthSpread, angleSpread } = spreads(plane);
    expect(lengthSpread).toBeCloseTo(0.25, 12);
    expect(angleSpread).toBeCloseTo(22.5, 12);
  });
});

describe.each(EXPERIMENTS.map((experiment) => [experiment.name, experiment] as const))(
  '%s',
  (_, experiment) => {
    it.each(experiment.budgets ?? (['quick', 'full'] as const))(
      'has a %s plan of different runs',
      (budget) => {
        const { runs, setting } = experiment.plan({ budget });
        expect(new Set(runs.map(({ name }) => name)).size).toBe(runs.length);
        expect(new Set(runs.map((run) => canonical(run.config))).size).toBe(runs.length);
        expect(setting.length).toBeGreaterThan(50);
        expect(new Set(runs.map(({ config }) => config.seed)).size).toBeGreaterThanOrEqual(2);
      },
    );

    it('has references for rows and columns that the full plan has', () => {
      const { runs } = experiment.plan({ budget: 'full', hasCifar100: true });
      const cells = new Set(runs.map(({ row, column }) => `${row}|${column}`));
      for (const { row, column } of experiment.references) expect(cells).toContain(`${row}|${column}`);
    });

    it('takes the number of seeds that is asked for', () => {
      const seeds = [1, 3].map((count) => experiment.plan({ budget: 'quick', seeds: count }).runs);
      expect((seeds[1] as unknown[]).length).toBe(3 * (seeds[0] as unknown[]).length);
      expect([...groupBy(seeds[1] ?? [], ({ config }) => String(config.seed)).keys()]).toEqual([
        '1',
        '2',
        '3',
      ]);
    });
  },
);

describe('the work of a run', () => {
  it('is counted in training images', () => {
    expect(trainingImages(tinyConfig(1))).toBe(160);
    expect(trainingImages(tinyConfig(1, {}, { length: { steps: 7 } }))).toBe(112);
  });
});
