import { fitLine, geometricMean, quantile, quartiles } from '../../ts/bench/statistics';

describe('quantile', () => {
  it('lies between the values, in whatever order they come', () => {
    expect([0, 0.25, 0.5, 0.75, 1].map((share) => quantile([5, 1, 3, 2, 4], share))).toEqual([1, 2, 3, 4, 5]);
    expect(quantile([10, 20], 0.5)).toBe(15);
    expect(quantile([10, 20, 40], 0.75)).toBe(30);
    expect(quantile([7], 0.9)).toBe(7);
    expect(quantile([], 0.5)).toBeNaN();
  });

  it('leaves its argument as it is', () => {
    const values = [3, 1, 2];
    expect(quartiles(values)).toEqual({ median: 2, q1: 1.5, q3: 2.5, runs: 3 });
    expect(values).toEqual([3, 1, 2]);
  });
});

describe('geometricMean', () => {
  it('treats a ratio and its inverse alike', () => {
    expect(geometricMean([2, 0.5])).toBeCloseTo(1, 12);
    expect(geometricMean([1, 10, 100])).toBeCloseTo(10, 12);
    expect(geometricMean([])).toBeNaN();
  });
});

describe('fitLine', () => {
  it('finds a straight line', () => {
    const { slope, intercept, residual } = fitLine([1, 2, 5, 40].map((x) => [x, 3 + 0.5 * x] as const));
    expect(slope).toBeCloseTo(0.5, 10);
    expect(intercept).toBeCloseTo(3, 10);
    expect(residual).toBeLessThan(1e-12);
  });

  it('says how far points are off it', () => {
    // Doubling with each x is no straight line; 1 % on one of three points is nearly one.
    expect(fitLine([1, 2, 3, 4, 5].map((x) => [x, 2 ** x] as const)).residual).toBeGreaterThan(0.3);
    const { residual } = fitLine([
      [1, 10],
      [2, 20.2],
      [3, 30],
    ]);
    expect(residual).toBeGreaterThan(0.002);
    expect(residual).toBeLessThan(0.01);
  });

  it('does not sacrifice small points to large ones', () => {
    const line = fitLine([
      [1, 1.1],
      [10, 10],
      [100, 100],
      [1000, 1001],
    ]);
    expect(line.intercept + line.slope).toBeGreaterThan(1.05);
  });
});
