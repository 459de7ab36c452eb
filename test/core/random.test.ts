import { inScope } from '../support/in_scope';
import { Generator, random } from '../support/library';
import type { FloatDType, Tensor } from '../support/library';

const DTYPES: readonly FloatDType[] = ['float32', 'float64'];
const COUNT = 200_000;

function moments(t: Tensor): { mean: number; variance: number; values: Float64Array } {
  const values = Float64Array.from(t.dataSync());
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return { mean, values, variance: values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length };
}

describe.each(DTYPES)('random tensors in %s', (dtype) => {
  it(
    'uniform stays in [low, high) with the right mean, variance and spread',
    inScope(() => {
      random.seed(1);
      const { mean, variance, values } = moments(random.uniform([COUNT], { low: -2, high: 3, dtype }));
      expect(mean).toBeCloseTo(0.5, 1);
      expect(variance).toBeCloseTo(25 / 12, 1);
      expect(values.every((v) => v >= -2 && v < 3)).toBe(true);
      const tenths = new Float64Array(10);
      for (const v of values)
        tenths[Math.floor((v + 2) * 2)] = (tenths[Math.floor((v + 2) * 2)] as number) + 10 / COUNT;
      expect(tenths).toBeAllClose(new Float64Array(10).fill(1), 0.04);
    }),
  );

  it(
    'normal has the right mean, variance, tails and no correlation between neighbours',
    inScope(() => {
      random.seed(2);
      const { mean, variance, values } = moments(random.normal([COUNT], { mean: 1, deviation: 2, dtype }));
      expect(mean).toBeCloseTo(1, 1);
      expect(Math.sqrt(variance)).toBeCloseTo(2, 1);
      const outside = values.filter((v) => Math.abs(v - 1) > 4).length / COUNT; // beyond two deviations: 4.55 %
      expect(outside).toBeCloseTo(0.0455, 2);
      let correlation = 0;
      for (let i = 1; i < COUNT; ++i)
        correlation += (((values[i] as number) - 1) * ((values[i - 1] as number) - 1)) / 4 / COUNT;
      expect(Math.abs(correlation)).toBeLessThan(0.01);
    }),
  );

  it(
    'repeat with the same seed and differ with another, whatever their shape',
    inScope(() => {
      const draw = (seed: number, shape: number[]): unknown => {
        random.seed(seed);
        return [random.uniform(shape, { dtype }).dataSync(), random.normal(shape, { dtype }).dataSync()];
      };
      expect(draw(5, [7, 11])).toEqual(draw(5, [77]));
      expect(draw(5, [77])).not.toEqual(draw(6, [77]));
      random.seed(5);
      expect(random.uniform([9]).dataSync()).not.toEqual(random.uniform([9]).dataSync());
    }),
  );
});

describe('Generator', () => {
  it('repeats from a seed and from a saved state', () => {
    const [a, b] = [new Generator(123), new Generator(123)];
    expect(Array.from({ length: 20 }, () => a.uniform())).toEqual(
      Array.from({ length: 20 }, () => b.uniform()),
    );
    const { state } = a;
    const next = [a.normal(), a.nextSeed()];
    b.state = state;
    expect([b.normal(), b.nextSeed()]).toEqual(next);
  });

  it('gives unrelated sequences for near seeds and seeds above 2^32', () => {
    const firsts = [0, 1, 2, 2 ** 32, 2 ** 32 + 1, 2 ** 53 - 1].map((seed) => new Generator(seed).nextSeed());
    expect(new Set(firsts).size).toBe(firsts.length);
    expect(firsts.every((seed) => Number.isSafeInteger(seed) && seed >= 0)).toBe(true);
  });

  it('shuffles into every order about equally often', () => {
    const generator = new Generator(3);
    const counts = new Map<string, number>();
    for (let i = 0; i < 6000; ++i) {
      const order = [0, 1, 2];
      generator.shuffle(order);
      counts.set(order.join(), (counts.get(order.join()) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    for (const n of counts.values()) expect(Math.abs(n - 1000)).toBeLessThan(150);
  });

  it('has uniform numbers of mean 1/2 and normal ones of variance 1', () => {
    const generator = new Generator(4);
    const n = 50_000;
    let [sum, squares] = [0, 0];
    for (let i = 0; i < n; ++i) {
      sum += generator.uniform() / n;
      squares += generator.normal() ** 2 / n;
    }
    expect(sum).toBeCloseTo(0.5, 2);
    expect(squares).toBeCloseTo(1, 1);
  });
});
