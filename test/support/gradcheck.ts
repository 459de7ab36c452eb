import { scope, tensor } from './library';
import type { Tensor } from './library';
import { Numbers, product } from './numbers';

export interface Input {
  shape: readonly number[];
  /** Row-major. Default: standard normal numbers of the check's seed. */
  data?: Float64Array;
}

export interface GradcheckOptions {
  seed?: number;
  /** Distance of the central difference. */
  step?: number;
  /** Allowed error, relative to the largest element of each gradient. */
  tolerance?: number;
  /** At most this many elements of each input are checked one by one. */
  samples?: number;
}

/** Inputs with data: numbers drawn where there are none. */
export function withData(
  inputs: readonly Input[],
  seed: number,
): { shape: readonly number[]; data: Float64Array }[] {
  const numbers = new Numbers(seed);
  return inputs.map(({ shape, data }) => ({ shape, data: data ?? numbers.normals(product(shape)) }));
}

/**
 * Compares the gradients of `f` in float64 with central finite differences of Σ f(x)·G for a random G: elements one by
 * one, and all of them at once along a random direction.
 */
export function gradcheck(
  f: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Input[],
  options: GradcheckOptions = {},
): void {
  const { seed = 1, step = 1e-5, tolerance = 1e-7, samples = 24 } = options;
  const filled = withData(inputs, seed);
  const numbers = new Numbers(seed ^ 0x5bd1e995);
  let weights: Float64Array = new Float64Array();
  const gradients = scope(() => {
    const leaves = filled.map(({ shape, data }) => tensor(data, { shape, requiresGrad: true }));
    const y = f(...leaves);
    weights = numbers.normals(y.size);
    y.backward(tensor(weights, { shape: y.shape }));
    return leaves.map((leaf) => {
      if (!leaf.grad) throw new Error('no gradient arrived at an input');
      expect(leaf.grad.shape).toEqual(leaf.shape);
      return leaf.grad.dataSync() as Float64Array;
    });
  });
  const evaluate = (moved: number, data: Float64Array): number =>
    scope(() => {
      const y = f(
        ...filled.map((input, i) => tensor(i === moved ? data : input.data, { shape: input.shape })),
      );
      return (y.dataSync() as Float64Array).reduce(
        (sum, value, i) => sum + value * (weights[i] as number),
        0,
      );
    });
  const difference = (moved: number, direction: Float64Array): number => {
    const base = (filled[moved] as { data: Float64Array }).data;
    const at = (sign: number): Float64Array =>
      base.map((value, i) => value + sign * step * (direction[i] as number));
    return (evaluate(moved, at(1)) - evaluate(moved, at(-1))) / (2 * step);
  };

  gradients.forEach((gradient, i) => {
    const size = gradient.length;
    const largest = Math.max(1e-2, ...gradient.map(Math.abs));
    const picked =
      size <= samples
        ? gradient.map((_, j) => j)
        : Array.from({ length: samples }, () => numbers.below(size));
    for (const j of picked) {
      const unit = new Float64Array(size);
      unit[j] = 1;
      const error = Math.abs(difference(i, unit) - (gradient[j] as number)) / largest;
      if (!(error <= tolerance)) {
        throw new Error(
          `gradient of input ${i} at ${j}: ${gradient[j]}, finite difference ${difference(i, unit)}, ` +
            `relative error ${error.toExponential(2)}`,
        );
      }
    }
    const direction = numbers.normals(size, 1 / Math.sqrt(size));
    const along = gradient.reduce((sum, value, j) => sum + value * (direction[j] as number), 0);
    const error = Math.abs(difference(i, direction) - along) / (largest * Math.sqrt(size));
    if (!(error <= tolerance)) {
      throw new Error(`gradient of input ${i} along a direction: relative error ${error.toExponential(2)}`);
    }
  });
}
