import { runFashionMnist } from '../../ts/experiments';
import type { FashionMnistOptions } from '../../ts/experiments';
import { topProbabilities } from '../../ts/experiments/readout';

const SMALL: FashionMnistOptions = {
  ...{ epochs: 1, planeEpochs: 1, trainLimit: 256, widths: [4, 4, 4], features: 8 },
  ...{ command: 'x', version: '0', withoutCuda: '', progress: false },
  log: () => undefined,
};

// That nothing is left in memory is checked after each test, see test/setup.ts.
describe('runFashionMnist', () => {
  it('finds out everything that the report shows', async () => {
    const lines: string[] = [];
    const { results, test } = await runFashionMnist({ ...SMALL, log: (line) => lines.push(line) });
    expect(lines.join('\n')).toContain('256 training and 2,500 test images');
    expect(results.history.steps).toHaveLength(4);
    expect(results.history.epochs).toHaveLength(1);
    expect(results.test.confusion.flat().reduce((a, b) => a + b)).toBe(test.length);
    for (const { x, y, labels } of results.featurePlanes) {
      expect([x.length, y.length, labels.length]).toEqual([test.length, test.length, test.length]);
    }
    const { mistakes } = results;
    expect(mistakes).toHaveLength(24);
    mistakes.forEach(({ index, label, prediction, confidence }, i) => {
      expect(test.labels[index]).toBe(label);
      expect(prediction).not.toBe(label);
      expect(confidence).toBeLessThanOrEqual(mistakes[i - 1]?.confidence ?? 1);
    });
  });

  it('learns with a learnable curvature and with cosine W-Softmax', async () => {
    for (const settings of [{ k: 'learnable' }, { operator: 'cosine', margin: 1 }] as const) {
      const { results } = await runFashionMnist({ ...SMALL, ...settings, batchSize: 16, learningRate: 0.02 });
      const losses = results.history.steps.map(({ loss }) => loss);
      const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b);
      expect(sum(losses.slice(-4))).toBeLessThan(sum(losses.slice(0, 4)));
    }
  });

  it.each([0, 1, 2])('stops where it is when it is aborted: at line %i', async (at) => {
    const controller = new AbortController();
    let line = 0;
    const log = (): void => {
      if (line++ === at) controller.abort(new Error('enough'));
    };
    await expect(runFashionMnist({ ...SMALL, log, signal: controller.signal })).rejects.toThrow('enough');
  });
});

describe('topProbabilities', () => {
  it('is the softmax of the largest score, however large', () => {
    const [even, sure] = topProbabilities([0, 0, 0, 0, 1000, 0, -1000, 1], 4);
    expect(even).toBeCloseTo(0.25, 12);
    expect(sure).toBe(1);
  });
});
