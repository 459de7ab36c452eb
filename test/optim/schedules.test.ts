import * as optim from '../../ts/optim';
import { inScope } from '../support/in_scope';
import { tensor } from '../support/library';

const values = (factor: optim.Factor, steps: number[]): number[] => steps.map(factor);

describe('factors', () => {
  it('constant', () => {
    expect(values(optim.constant(), [0, 10])).toEqual([1, 1]);
    expect(values(optim.constant(0.5), [0, 10])).toEqual([0.5, 0.5]);
  });

  it('stepDecay multiplies at each milestone', () => {
    const factor = optim.stepDecay({ milestones: [34_000, 54_000] });
    expect(values(factor, [0, 33_999, 34_000, 53_999, 54_000, 64_000])).toBeAllClose(
      [1, 1, 0.1, 0.1, 0.01, 0.01],
      1e-15,
    );
    expect(values(optim.stepDecay({ milestones: [1, 2], gamma: 0.5 }), [0, 1, 2])).toEqual([1, 0.5, 0.25]);
  });

  it('cosine goes from 1 to the minimum and stays there', () => {
    expect(values(optim.cosine({ total: 100 }), [0, 50, 100, 150])).toBeAllClose([1, 0.5, 0, 0], 1e-15);
    const factor = optim.cosine({ total: 4, minimum: 0.2 });
    expect(values(factor, [0, 1, 2, 4])).toBeAllClose([1, 0.2 + 0.4 * (1 + Math.SQRT1_2), 0.6, 0.2], 1e-15);
  });

  it('warmup rises to 1 and multiplies what comes after, which counts from the start', () => {
    expect(values(optim.warmup(4), [0, 1, 2, 3, 4, 100])).toEqual([0.25, 0.5, 0.75, 1, 1, 1]);
    const factor = optim.warmup(2, optim.stepDecay({ milestones: [1, 3], gamma: 0.1 }));
    expect(values(factor, [0, 1, 2, 3])).toBeAllClose([0.5, 0.1, 0.1, 0.01], 1e-15);
  });

  it('refuse what makes no sense', () => {
    expect(() => optim.stepDecay({ milestones: [5, 5] })).toThrow('stepDecay: milestones must be ascending');
    expect(() => optim.stepDecay({ milestones: [1], gamma: 0 })).toThrow(
      'stepDecay: gamma must be a number above 0',
    );
    expect(() => optim.cosine({ total: 0 })).toThrow(
      'cosine: total must be a whole number of at least 1, got 0',
    );
    expect(() => optim.cosine({ total: 5, minimum: 2 })).toThrow(
      'cosine: minimum must be a number in [0, 1], got 2',
    );
    expect(() => optim.warmup(0.5)).toThrow('warmup: steps must be a whole number of at least 1, got 0.5');
  });
});

describe('Schedule', () => {
  it(
    "multiplies each group's own learning rate",
    inScope(() => {
      const [a, b] = [tensor([1], { requiresGrad: true }), tensor([1], { requiresGrad: true })];
      const optimizer = new optim.SGD([{ params: [a] }, { params: [b], lr: 1 }], { lr: 0.1 });
      const schedule = new optim.Schedule(
        optimizer,
        optim.warmup(2, optim.stepDecay({ milestones: [3], gamma: 0.5 })),
      );
      const rates: number[][] = [];
      for (let i = 0; i < 4; ++i) {
        rates.push(optimizer.groups.map(({ lr }) => lr));
        schedule.step();
      }
      expect(rates.flat()).toBeAllClose([0.05, 0.5, 0.1, 1, 0.1, 1, 0.05, 0.5], 1e-15);
      expect(schedule.steps).toBe(4);
      schedule.steps = 0;
      expect(optimizer.lr).toBeCloseTo(0.05, 12);
      expect(() => {
        schedule.steps = -1;
      }).toThrow('Schedule: steps must be a whole number of at least 0, got -1');
    }),
  );

  it(
    'refuses a factor that is no rate',
    inScope(() => {
      const optimizer = new optim.SGD([tensor([1], { requiresGrad: true })]);
      expect(() => new optim.Schedule(optimizer, () => NaN)).toThrow(
        'Schedule: factor must be a finite number of at least 0 at step 0, got NaN',
      );
    }),
  );
});
