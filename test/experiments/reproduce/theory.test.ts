import { Matrix } from 'ml-matrix';
import { Generator } from '../../../ts/core/random';
import { descend, slope } from '../../../ts/experiments/reproduce/descent';
import {
  closedForm,
  hessian,
  randomFactors,
  rescaled,
  rowLengths,
  spectrum,
  unitRows,
} from '../../../ts/experiments/reproduce/theory';
import type { Factors } from '../../../ts/experiments/reproduce/theory';
import type { SpectrumConfig } from '../../../ts/experiments/reproduce/config';

const SIZES = { n: 12, m: 15, k: 4 };

const at = (changes: Partial<SpectrumConfig>): SpectrumConfig => ({
  kind: 'spectrum',
  ...SIZES,
  problem: 'plain',
  coordinates: 'euclidean',
  method: 'eigenvalues',
  c: 1,
  seed: 3,
  ...changes,
});

/** U and V as one list of numbers, and back. */
const flat = ({ u, v }: Factors): number[] => [...u.to1DArray(), ...v.to1DArray()];
const unflat = (values: readonly number[], { u, v }: Factors): Factors => ({
  u: Matrix.from1DArray(u.rows, u.columns, values.slice(0, u.rows * u.columns)),
  v: Matrix.from1DArray(v.rows, v.columns, values.slice(u.rows * u.columns)),
});

/** The loss by its definition, row by row. */
function loss(factors: Factors, target: Matrix, isSphere: boolean): number {
  let sum = 0;
  for (let i = 0; i < factors.u.rows; ++i) {
    for (let j = 0; j < factors.v.rows; ++j) {
      const [a, b] = [factors.u.getRow(i), factors.v.getRow(j)];
      const product = a.reduce((total, value, t) => total + value * (b[t] as number), 0);
      const scale = isSphere ? Math.hypot(...a) * Math.hypot(...b) : 1;
      sum += (target.get(i, j) - product / scale) ** 2 / 2;
    }
  }
  return sum;
}

describe('the Hessians of the theory', () => {
  it('are the second differences of G and G_S at the optimum', () => {
    const optimum = randomFactors({ n: 3, m: 4, k: 2 }, new Generator(5));
    const target = optimum.u.mmul(optimum.v.transpose());
    const factors = rescaled(optimum, 1.7);
    const start = flat(factors);
    const step = 1e-4;
    for (const problem of ['plain', 'sphere'] as const) {
      const h = hessian(factors, problem, 'euclidean');
      const f = (moves: readonly (readonly [number, number])[]): number => {
        const values = [...start];
        for (const [index, sign] of moves) values[index] = (values[index] as number) + sign * step;
        return loss(unflat(values, factors), target, problem === 'sphere');
      };
      for (let i = 0; i < start.length; ++i) {
        for (let j = 0; j <= i; ++j) {
          const signs = [[1, 1], [1, -1], [-1, 1], [-1, -1]] as const; // prettier-ignore
          const difference = signs.reduce((sum, [a, b]) => sum + a * b * f([[i, a], [j, b]]), 0); // prettier-ignore
          expect(h.get(i, j)).toBeCloseTo(difference / (4 * step * step), 5);
        }
      }
    }
  });

  it('in units of the lengths of rows have entries times both lengths', () => {
    const factors = rescaled(randomFactors({ n: 3, m: 4, k: 2 }, new Generator(6)), 3);
    const lengths = [...rowLengths(factors.u), ...rowLengths(factors.v)].flatMap((l) => [l, l]);
    const plain = hessian(factors, 'sphere', 'euclidean');
    const scaled = hessian(factors, 'sphere', 'normalized');
    for (let i = 0; i < lengths.length; ++i) {
      for (let j = 0; j < lengths.length; ++j) {
        const expected = plain.get(i, j) * (lengths[i] as number) * (lengths[j] as number);
        expect(scaled.get(i, j)).toBeCloseTo(expected, 10);
      }
    }
  });

  it.each([1, 2, 4, 8, 16])('of G have the eigenvalues of the closed form at c = %d', (c) => {
    const brute = spectrum(at({ c }));
    const closed = spectrum(at({ c, method: 'closedForm' }));
    expect(brute.eigenvalues).toHaveLength(closed.eigenvalues.length);
    brute.eigenvalues.forEach((value, i) => {
      expect(value / (closed.eigenvalues[i] as number)).toBeCloseTo(1, 6);
    });
    // U A, V A⁻ᵀ: k² directions.
    expect(brute.zeros).toBe(16);
    expect(closed.zeros).toBe(16);
  });

  it('closed form: sums of squared singular values, and single ones where a factor has more rows', () => {
    const u = new Matrix([[3, 0], [0, 2], [0, 0]]); // prettier-ignore
    const v = new Matrix([[5, 0], [0, 1]]); // prettier-ignore
    const values = closedForm({ u, v }, 2).sort((a, b) => a - b);
    expect(values.map((value) => Number(value.toFixed(6)))).toEqual([0.25, 6.25, 16.25, 22.25, 36.25, 42.25]);
  });

  it('of G are conditioned like c⁴, of G_S in U and V as well, and in units of the rows not at all', () => {
    const condition = (changes: Partial<SpectrumConfig>): number => spectrum(at(changes)).condition;
    expect(condition({ c: 32 }) / condition({ c: 16 })).toBeCloseTo(16, 0);
    expect(condition({ c: 32, problem: 'sphere' }) / condition({ c: 16, problem: 'sphere' })).toBeCloseTo(
      16,
      0,
    );
    const normalized = { problem: 'sphere', coordinates: 'normalized' } as const;
    expect(condition({ c: 16, ...normalized })).toBeCloseTo(condition({ ...normalized }), 6);
    // Where U is square, c makes G better conditioned at first: the lemma needs more rows than columns.
    const square = { n: 4, m: 15, k: 4 };
    expect(condition({ c: 2, ...square })).toBeLessThan(condition({ ...square }));
  });

  it('of G_S lack the lengths of the rows and the rotations', () => {
    const { zeros } = spectrum(at({ problem: 'sphere', c: 2 }));
    expect(zeros).toBe(12 + 15 + (4 * 3) / 2);
  });
});

describe('gradient descent', () => {
  it('goes down the slopes of G and G_S', () => {
    const generator = new Generator(7);
    const start = rescaled(randomFactors({ n: 3, m: 4, k: 2 }, generator), 1.3);
    const other = randomFactors({ n: 3, m: 4, k: 2 }, generator);
    const target = other.u.mmul(other.v.transpose());
    for (const problem of ['plain', 'sphere'] as const) {
      const { loss: value, du, dv } = slope(start, target, problem);
      expect(value).toBeCloseTo(loss(start, target, problem === 'sphere'), 12);
      const gradient = flat({ u: du, v: dv });
      const values = flat(start);
      gradient.forEach((own, i) => {
        const moved = (by: number): number => {
          const near = [...values];
          near[i] = (near[i] as number) + by;
          return loss(unflat(near, start), target, problem === 'sphere');
        };
        expect(own).toBeCloseTo((moved(1e-6) - moved(-1e-6)) / 2e-6, 7);
      });
    }
  });

  it('does not see c where rows are kept at length 1, and needs longer for it on G', () => {
    const config = { kind: 'descent', n: 6, m: 7, k: 2, iterations: 400, seed: 1 } as const;
    const [near, far] = [1, 2].map((c) => descend({ ...config, problem: 'projected', c }));
    expect(far?.curve.map(([, value]) => value)).toEqual(near?.curve.map(([, value]) => value));
    const [even, uneven] = [1, 2].map((c) => descend({ ...config, problem: 'plain', c }));
    expect(even?.reached).toBeGreaterThan(0);
    expect(uneven?.reached ?? Infinity).toBeGreaterThan(even?.reached as number);
    expect(even?.curve[0]?.[0]).toBe(0);
    expect(even?.curve.at(-1)).toEqual([400, Number(even?.final.toPrecision(5))]);
  });

  it('starts at rows of length 1 where they are kept so', () => {
    const rows = unitRows(new Matrix([[3, 4], [0, 2]])); // prettier-ignore
    expect(rows.to2DArray()).toEqual([[0.6000000000000001, 0.8], [0, 1]]); // prettier-ignore
  });
});
