import { init } from '../../ts/nn';
import { inScope } from '../support/in_scope';
import { Generator } from '../support/library';
import type { Shape } from '../support/library';

function moments(values: ArrayLike<number>): { mean: number; deviation: number; largest: number } {
  const list = Array.from(values);
  const mean = list.reduce((a, b) => a + b, 0) / list.length;
  const deviation = Math.sqrt(list.reduce((a, b) => a + (b - mean) ** 2, 0) / list.length);
  return { mean, deviation, largest: Math.max(...list.map(Math.abs)) };
}

/** The largest deviation of the rows' products (or the columns') from the identity. */
async function distanceFromOrthonormal(shape: Shape, of: 'rows' | 'columns'): Promise<number> {
  const weight = init.orthogonal(shape, { dtype: 'float64', generator: new Generator(3) });
  expect(weight.shape).toEqual(shape);
  const values = await weight.data();
  const rows = shape[0] as number;
  const columns = values.length / rows;
  const count = of === 'rows' ? rows : columns;
  const length = of === 'rows' ? columns : rows;
  const at = (vector: number, i: number): number =>
    values[of === 'rows' ? vector * columns + i : i * columns + vector] as number;
  let worst = 0;
  for (let a = 0; a < count; ++a) {
    for (let b = 0; b <= a; ++b) {
      let dot = 0;
      for (let i = 0; i < length; ++i) dot += at(a, i) * at(b, i);
      worst = Math.max(worst, Math.abs(dot - (a === b ? 1 : 0)));
    }
  }
  return worst;
}

describe('init', () => {
  const shape = [64, 3, 3, 16]; // fan-in 144

  it(
    'heNormal has mean 0 and deviation √(2 / fan-in)',
    inScope(async () => {
      const { mean, deviation } = moments(await init.heNormal(shape, { generator: new Generator(1) }).data());
      expect(Math.abs(mean)).toBeLessThan(0.005);
      expect(deviation).toBeGreaterThan(0.97 * Math.sqrt(2 / 144));
      expect(deviation).toBeLessThan(1.03 * Math.sqrt(2 / 144));
    }),
  );

  it(
    'heUniform has the same deviation and stays within √(6 / fan-in)',
    inScope(async () => {
      const { deviation, largest } = moments(
        await init.heUniform(shape, { generator: new Generator(1) }).data(),
      );
      expect(deviation).toBeGreaterThan(0.97 * Math.sqrt(2 / 144));
      expect(deviation).toBeLessThan(1.03 * Math.sqrt(2 / 144));
      expect(largest).toBeLessThanOrEqual(Math.sqrt(6 / 144) * 1.000001);
    }),
  );

  it(
    'orthogonal has orthonormal rows, or columns where there are more outputs than inputs',
    inScope(async () => {
      expect(await distanceFromOrthonormal([20, 3, 3, 4], 'rows')).toBeLessThan(1e-13);
      expect(await distanceFromOrthonormal([27, 27], 'rows')).toBeLessThan(1e-13);
      expect(await distanceFromOrthonormal([128, 3, 3, 3], 'columns')).toBeLessThan(1e-13);
    }),
  );

  it(
    'normal and constant make initialisers',
    inScope(async () => {
      const drawn = init.normal({ mean: 5, deviation: 0.1 })([100, 10], { generator: new Generator(2) });
      const { mean, deviation } = moments(await drawn.data());
      expect(Math.abs(mean - 5)).toBeLessThan(0.02);
      expect(Math.abs(deviation - 0.1)).toBeLessThan(0.01);
      expect(Array.from(await init.constant(0.5)([2, 2]).data())).toEqual([0.5, 0.5, 0.5, 0.5]);
    }),
  );

  it(
    'equal generators give equal weights, one generator gives different ones',
    inScope(async () => {
      for (const initializer of [init.heNormal, init.heUniform, init.orthogonal, init.normal()]) {
        const generator = new Generator(7);
        const [first, second] = [initializer([4, 5], { generator }), initializer([4, 5], { generator })];
        const again = initializer([4, 5], { generator: new Generator(7) });
        expect(await again.data()).toEqual(await first.data());
        expect(await second.data()).not.toEqual(await first.data());
        expect(initializer([4, 5], { dtype: 'float64' }).dtype).toBe('float64');
      }
    }),
  );

  it('refuses shapes without fan-in and impossible moments', () => {
    for (const initializer of [init.heNormal, init.heUniform, init.orthogonal]) {
      expect(() => initializer([3])).toThrow('shape must be of at least two axes, [outputs, ...], got [3]');
    }
    expect(() => init.normal({ deviation: -1 })).toThrow(
      'normal: deviation must be a number of at least 0, got -1',
    );
    expect(() => init.constant(NaN)).toThrow('constant: value must be a finite number, got NaN');
  });
});
