import { gradcheck } from '../support/gradcheck';
import { losses, scope, tensor } from '../support/library';
import { Numbers, product } from '../support/numbers';

const { acos, log, sqrt, PI } = Math;
const POWERS = [0, 1, 2] as const;

interface Options {
  power: 0 | 1 | 2;
  angular: boolean;
  halfSpace: boolean;
}

const ALL: Options[] = POWERS.flatMap((power) =>
  [false, true].flatMap((angular) => [false, true].map((halfSpace) => ({ power, angular, halfSpace }))),
);

const norm = (v: readonly number[]): number => sqrt(v.reduce((sum, x) => sum + x * x, 0));

function energy(a: readonly number[], b: readonly number[], { power, angular }: Options): number {
  const c = a.reduce((sum, x, i) => sum + x * (b[i] as number), 0);
  if (angular) {
    const q = acos(Math.max(-1, c)) / PI + 1e-4;
    return [-log(q), 1 / q, 1 / (q * q)][power] as number;
  }
  const distance = norm(a.map((x, i) => x - (b[i] as number)));
  const q = distance * distance + 1e-4;
  return [-log(q), 1 / sqrt(q), 1 / q][power] as number;
}

/** The mean over pairs i < j, of all filters and, in half-spaces, their negatives. */
function definition(rows: readonly (readonly number[])[], options: Options): number {
  const unit = rows.map((row) => row.map((x) => x / norm(row)));
  const all = options.halfSpace ? [...unit, ...unit.map((row) => row.map((x) => -x))] : unit;
  const pairs = all.flatMap((a, i) => all.slice(i + 1).map((b) => energy(a, b, options)));
  return pairs.reduce((sum, e) => sum + e, 0) / pairs.length;
}

describe.each(ALL)('hypersphericalEnergy %j', (options) => {
  it.each([[[2, 3]], [[5, 4]], [[6, 3]], [[4, 2, 3, 2]]])(
    'of %j is its definition, with its gradient',
    (shape) => {
      const data = new Numbers(3).normals(product(shape));
      const filters = shape[0] as number;
      const length = data.length / filters;
      const rows = Array.from({ length: filters }, (_, i) =>
        Array.from(data.slice(i * length, (i + 1) * length)),
      );
      scope(() => {
        const y = losses.hypersphericalEnergy(tensor(data, { shape }), options);
        expect(y.shape).toEqual([]);
        expect(y).toBeAllClose([definition(rows, options)], 1e-6);
      });
      gradcheck((w) => losses.hypersphericalEnergy(w, options), [{ shape, data }], { tolerance: 1e-6 });
    },
  );

  it('is finite, with its gradient, for equal, opposite and zero filters', () => {
    for (const dtype of ['float32', 'float64'] as const) {
      scope(() => {
        const w = tensor(
          [
            [1, 2, 2],
            [1, 2, 2],
            [-1, -2, -2],
            [0.3, 0.1, 0.7],
            [0.3, 0.1, 0.7000001],
            [0, 0, 0],
            [0, 0, 0],
          ],
          { dtype, requiresGrad: true },
        );
        const y = losses.hypersphericalEnergy(w, options);
        y.backward();
        for (const value of [...y.dataSync(), ...(w.grad?.dataSync() ?? [NaN])])
          expect(Number.isFinite(value)).toBe(true);
      });
    }
  });
});

describe.each(POWERS.flatMap((power) => [false, true].map((angular) => ({ power, angular }))))(
  'hypersphericalEnergy %j',
  (options) => {
    const of = (angles: readonly number[], halfSpace: boolean): { value: number; slope: number } =>
      scope(() => {
        const rows = angles.map((angle) => [Math.cos(angle), Math.sin(angle)]);
        const w = tensor(rows, { dtype: 'float64', requiresGrad: true });
        const y = losses.hypersphericalEnergy(w, { ...options, halfSpace });
        y.backward();
        return { value: y.itemSync(), slope: norm(Array.from(w.grad?.dataSync() ?? [NaN])) };
      });

    it('is least, with no slope, for filters spread evenly around the circle', () => {
      const even = [0, 1, 2, 3, 4].map((i) => (2 * PI * i) / 5);
      const best = of(even, false);
      expect(best.slope).toBeLessThan(1e-7);
      const numbers = new Numbers(7);
      for (let trial = 0; trial < 20; ++trial) {
        const moved = even.map((angle) => angle + 0.3 * (numbers.uniform() - 0.5));
        expect(of(moved, false).value).toBeGreaterThan(best.value);
      }
    });

    it('is least in half-spaces for lines spread evenly', () => {
      const lines = of([0, PI / 3, PI + (2 * PI) / 3], true);
      expect(lines.slope).toBeLessThan(1e-7);
      expect(of([0, (2 * PI) / 3 - 0.2, (4 * PI) / 3], true).value).toBeGreaterThan(lines.value);
      expect(of([0, PI / 2, PI], true).value).toBeGreaterThan(lines.value);
    });
  },
);
