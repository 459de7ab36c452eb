/**
 * The optimisation of one linear layer that the paper's theory speaks of (Deep Hyperspherical Learning, section 2.3;
 * stated from memory of the paper, checked here by calculation): F = U Vᵀ with rows of length 1,
 *
 *     G(U, V)   = ½ ‖F − U Vᵀ‖²          G_S(U, V) = ½ ‖F − D_U U Vᵀ D_V‖²,  D = diag(1 / length of each row)
 *
 * at the optimum (c·U, V/c). There the residual is 0, so that the Hessian is JᵀJ, J the derivative of the product.
 */
import { EigenvalueDecomposition, Matrix, SingularValueDecomposition } from 'ml-matrix';
import { Generator } from '../../core/random';
import type { FactorSizes, SpectrumConfig } from './config';
import type { SpectrumOutcome } from './outcome';

/** U `[n, k]` and V `[m, k]`. */
export interface Factors {
  u: Matrix;
  v: Matrix;
}

/** What of an eigenvalue, as a share of the largest, is rounding. */
const ROUNDING = 1e-11;

/** Factors with rows of length 1 in random directions. */
export function randomFactors({ n, m, k }: FactorSizes, generator: Generator): Factors {
  return { u: unitRows(gaussian(n, k, generator)), v: unitRows(gaussian(m, k, generator)) };
}

/** (c·U, V/c) */
export function rescaled({ u, v }: Factors, c: number): Factors {
  return { u: Matrix.mul(u, c), v: Matrix.mul(v, 1 / c) };
}

/** The matrix with each row at length 1. */
export function unitRows(matrix: Matrix): Matrix {
  const result = matrix.clone();
  rowLengths(matrix).forEach((length, i) => result.mulRow(i, 1 / length));
  return result;
}

/** Length of each row. */
export function rowLengths(matrix: Matrix): number[] {
  return matrix.to2DArray().map((row) => Math.hypot(...row));
}

/**
 * The spectrum at (c·U, V/c) as the configuration asks for it.
 *
 * The zeros are directions in which the function does not change: k² of G (U A, V A⁻ᵀ for any A), and for G_S the
 * length of each row and the rotations of k dimensions. The condition number leaves them out.
 */
export function spectrum(config: SpectrumConfig): Omit<SpectrumOutcome, 'kind' | 'seconds'> {
  const factors = randomFactors(config, new Generator(config.seed));
  const { problem, coordinates, method, c } = config;
  const all =
    method === 'closedForm'
      ? closedForm(factors, c)
      : symmetricEigenvalues(hessian(rescaled(factors, c), problem, coordinates));
  const descending = all.sort((a, b) => b - a);
  const largest = descending[0] as number;
  const eigenvalues = descending.filter((value) => value > ROUNDING * largest);
  return {
    eigenvalues: eigenvalues.map((value) => Number(value.toPrecision(10))),
    zeros: (config.n + config.m) * config.k - eigenvalues.length,
    condition: largest / (eigenvalues.at(-1) as number),
  };
}

/** Eigenvalues of G at (c·U, V/c) that are not 0, by the singular values of U and V; both have full rank. */
export function closedForm({ u, v }: Factors, c: number): number[] {
  const fromU = new SingularValueDecomposition(u).diagonal.map((value) => (c * value) ** 2);
  const fromV = new SingularValueDecomposition(v).diagonal.map((value) => (value / c) ** 2);
  const repeated = (values: number[], times: number): number[] =>
    Array.from({ length: times }, () => values).flat();
  return [
    ...fromU.flatMap((a) => fromV.map((b) => a + b)),
    ...repeated(fromV, u.rows - u.columns),
    ...repeated(fromU, v.rows - v.columns),
  ];
}

/** The Hessian at an optimum: JᵀJ. */
export function hessian(
  factors: Factors,
  problem: SpectrumConfig['problem'],
  coordinates: SpectrumConfig['coordinates'],
): Matrix {
  const j = jacobian(factors, problem);
  if (coordinates === 'normalized') {
    // The derivative by a row in units of its length.
    const { u, v } = factors;
    const lengths = [...rowLengths(u), ...rowLengths(v)];
    lengths.forEach((length, row) => {
      for (let i = 0; i < u.columns; ++i) j.mulColumn(row * u.columns + i, length);
    });
  }
  return j.transpose().mmul(j);
}

/** Derivative `[n·m, (n + m)·k]` of the product that F is compared with by the entries of U, then of V. */
function jacobian({ u, v }: Factors, problem: SpectrumConfig['problem']): Matrix {
  const [n, m, k] = [u.rows, v.rows, u.columns];
  const [left, right] = problem === 'plain' ? [u, v] : [unitRows(u), unitRows(v)];
  const result = Matrix.zeros(n * m, (n + m) * k);
  for (let i = 0; i < n; ++i) {
    for (let j = 0; j < m; ++j) {
      const [a, b] = [left.getRow(i), right.getRow(j)];
      const byU = problem === 'plain' ? b : byDirection(b, a, Math.hypot(...u.getRow(i)));
      const byV = problem === 'plain' ? a : byDirection(a, b, Math.hypot(...v.getRow(j)));
      byU.forEach((value, t) => result.set(i * m + j, i * k + t, value));
      byV.forEach((value, t) => result.set(i * m + j, (n + j) * k + t, value));
    }
  }
  return result;
}

/** A gradient by a direction, `unit`, as a gradient by the vector of that direction and of this length. */
export function byDirection(gradient: readonly number[], unit: readonly number[], length: number): number[] {
  const along = gradient.reduce((sum, value, i) => sum + value * (unit[i] as number), 0);
  return gradient.map((value, i) => (value - along * (unit[i] as number)) / length);
}

/** The largest eigenvalue of a symmetric matrix. */
export function largestEigenvalue(matrix: Matrix): number {
  return Math.max(...symmetricEigenvalues(matrix));
}

function symmetricEigenvalues(matrix: Matrix): number[] {
  return new EigenvalueDecomposition(matrix, { assumeSymmetric: true }).realEigenvalues;
}

function gaussian(rows: number, columns: number, generator: Generator): Matrix {
  return Matrix.from1DArray(
    rows,
    columns,
    Array.from({ length: rows * columns }, () => generator.normal()),
  );
}
