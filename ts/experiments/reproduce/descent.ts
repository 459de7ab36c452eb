import { Matrix } from 'ml-matrix';
import { Generator } from '../../core/random';
import type { DescentConfig } from './config';
import type { DescentOutcome } from './outcome';
import {
  byDirection,
  hessian,
  largestEigenvalue,
  randomFactors,
  rescaled,
  rowLengths,
  unitRows,
} from './theory';
import type { Factors } from './theory';

/** Learning rates that are tried, times 1 / (largest eigenvalue at the optimum): above 2 nothing converges there. */
const RATES = Array.from({ length: 10 }, (_, i) => 2 ** (1 - i / 2));

/** A loss of which the report says when it was reached. */
const SMALL = 1e-6;

/**
 * Gradient descent on G or G_S towards F of random factors, from other random factors as (c·U₀, V₀/c). Every learning
 * rate of a grid is tried, and the one that is soonest at a loss of 10⁻⁶, or nearest to it in the end, is told of: so
 * no problem suffers from a rate that suits another.
 */
export function descend(config: DescentConfig): Descent {
  const generator = new Generator(config.seed);
  const optimum = randomFactors(config, generator);
  const start = rescaled(randomFactors(config, generator), config.c);
  const target = optimum.u.mmul(optimum.v.transpose());
  const { problem } = config;
  const curvature = hessian(
    rescaled(optimum, config.c),
    problem === 'plain' ? 'plain' : 'sphere',
    problem === 'projected' ? 'normalized' : 'euclidean',
  );
  const scale = 1 / largestEigenvalue(curvature);
  const tried = RATES.map((rate) => follow(start, target, config, rate * scale));
  return tried.reduce((best, one) => (isBetter(one, best) ? one : best));
}

type Descent = Omit<DescentOutcome, 'kind' | 'seconds'>;

function isBetter(a: Descent, b: Descent): boolean {
  const [soonA, soonB] = [a.reached ?? Infinity, b.reached ?? Infinity];
  return soonA === soonB ? a.final < b.final : soonA < soonB;
}

function follow(
  start: Factors,
  target: Matrix,
  { problem, iterations }: DescentConfig,
  learningRate: number,
): Descent {
  const curve: [number, number][] = [];
  let reached: number | null = null;
  let at = problem === 'projected' ? { u: unitRows(start.u), v: unitRows(start.v) } : start;
  for (let iteration = 0; ; ++iteration) {
    const { loss, du, dv } = slope(at, target, problem === 'plain' ? 'plain' : 'sphere');
    if (!Number.isFinite(loss)) return { learningRate, curve, final: Infinity, reached: null };
    if (loss <= SMALL) reached ??= iteration;
    if (isShown(iteration) || iteration === iterations) curve.push([iteration, Number(loss.toPrecision(5))]);
    if (iteration === iterations) return { learningRate, curve, final: loss, reached };
    const u = Matrix.sub(at.u, du.mul(learningRate));
    const v = Matrix.sub(at.v, dv.mul(learningRate));
    at = problem === 'projected' ? { u: unitRows(u), v: unitRows(v) } : { u, v };
  }
}

/** Loss and gradients of G or G_S. */
export function slope(
  { u, v }: Factors,
  target: Matrix,
  problem: 'plain' | 'sphere',
): { loss: number; du: Matrix; dv: Matrix } {
  const [left, right] = problem === 'plain' ? [u, v] : [unitRows(u), unitRows(v)];
  const residual = left.mmul(right.transpose()).sub(target);
  const loss = residual.norm('frobenius') ** 2 / 2;
  const du = residual.mmul(right);
  const dv = residual.transpose().mmul(left);
  if (problem === 'plain') return { loss, du, dv };
  return {
    loss,
    du: rowsByDirection(du, left, rowLengths(u)),
    dv: rowsByDirection(dv, right, rowLengths(v)),
  };
}

function rowsByDirection(gradient: Matrix, units: Matrix, lengths: readonly number[]): Matrix {
  const rows = lengths.map((length, i) => byDirection(gradient.getRow(i), units.getRow(i), length));
  return new Matrix(rows);
}

/** 0 to 9, then two significant digits: as many points in every decade. */
function isShown(iteration: number): boolean {
  const step = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, iteration))) - 1);
  return iteration % step === 0;
}
