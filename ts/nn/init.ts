import { full, tensor } from '../core/create';
import { hostArray } from '../core/dtype';
import type { FloatDType } from '../core/dtype';
import { checkNumber, describe, fail } from '../core/errors';
import { random } from '../core/random';
import type { Generator } from '../core/random';
import type { Shape } from '../core/shape';
import type { Tensor } from '../core/tensor';

/** How a weight is made. */
export interface InitOptions {
  /** Default 'float32'. */
  dtype?: FloatDType | undefined;
  /** Where random numbers come from; the shared generator where none is given. */
  generator?: Generator | undefined;
}

/** Makes a weight `[outputs, ...]`; the product of the other axes is the fan-in. */
export type Initializer = (shape: Shape, options?: InitOptions) => Tensor;

/**
 * Normal numbers of deviation √(2 / fan-in), He et al. 2015: √(2 / (KH · KW · C)) for a convolution. The SphereNet authors
 * draw every kernel so, without cutting the tails off. E‖w‖² of a kernel is 2.
 */
export const heNormal: Initializer = (shape, options) =>
  normal({ deviation: Math.sqrt(2 / fanIn('heNormal', shape)) })(shape, options);

/** U(−b, b) with b = √(6 / fan-in), which has the variance of heNormal. */
export const heUniform: Initializer = (shape, options) => {
  const bound = Math.sqrt(6 / fanIn('heUniform', shape));
  return random.uniform(shape, { ...options, low: -bound, high: bound });
};

/**
 * A random matrix [outputs, fan-in] with orthonormal rows, or with orthonormal columns where there are more outputs
 * than fan-in: Gram–Schmidt on Gaussian vectors, in float64.
 */
export const orthogonal: Initializer = (shape, options = {}) => {
  const columns = fanIn('orthogonal', shape);
  const rows = shape[0] as number;
  const { dtype = 'float32', generator = random.generator() } = options;
  const basis = orthonormal(Math.min(rows, columns), Math.max(rows, columns), generator);
  const values = hostArray(dtype, rows * columns);
  basis.forEach((vector, i) => {
    vector.forEach((value, j) => {
      values[rows <= columns ? i * columns + j : j * columns + i] = value;
    });
  });
  return tensor(values, { shape, dtype });
};

/** An initialiser that draws from N(mean, deviation²); mean 0 and deviation 1 by default. */
export function normal(moments: { mean?: number; deviation?: number } = {}): Initializer {
  const { mean = 0, deviation = 1 } = moments;
  checkNumber('normal', 'mean', mean);
  checkNumber('normal', 'deviation', deviation, 'a number of at least 0', (value) => value >= 0);
  return (shape, options) => random.normal(shape, { ...options, mean, deviation });
}

/** An initialiser that fills with one value. */
export function constant(value: number): Initializer {
  checkNumber('constant', 'value', value);
  return (shape, options) => full(shape, value, { dtype: options?.dtype });
}

function fanIn(owner: string, shape: Shape): number {
  const product = shape.slice(1).reduce((a, b) => a * b, 1);
  if (shape.length < 2) fail(owner, 'shape', 'of at least two axes, [outputs, ...]', describe(shape));
  return product;
}

/** `count` orthonormal vectors of `length` >= `count`. */
function orthonormal(count: number, length: number, generator: Generator): Float64Array[] {
  const basis: Float64Array[] = [];
  while (basis.length < count) {
    const vector = Float64Array.from({ length }, () => generator.normal());
    const drawn = norm(vector);
    // Twice is enough: the second pass removes what rounding left of the first.
    for (let pass = 0; pass < 2; ++pass) {
      for (const earlier of basis) addScaled(vector, earlier, -dot(vector, earlier));
    }
    const left = norm(vector);
    // What lay almost in the span of the others would be mostly rounding error: draw again.
    if (left > 1e-8 * drawn) basis.push(vector.map((value) => value / left));
  }
  return basis;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; ++i) sum += (a[i] as number) * (b[i] as number);
  return sum;
}

function norm(a: Float64Array): number {
  return Math.sqrt(dot(a, a));
}

function addScaled(a: Float64Array, b: Float64Array, factor: number): void {
  for (let i = 0; i < a.length; ++i) a[i] = (a[i] as number) + factor * (b[i] as number);
}
