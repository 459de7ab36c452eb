/** Median and quartiles of `runs` figures. */
export interface Quartiles {
  readonly median: number;
  readonly q1: number;
  readonly q3: number;
  readonly runs: number;
}

/** The value below which `share` of the values lie, interpolated linearly; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const position = share * (sorted.length - 1);
  const low = sorted[Math.floor(position)] ?? NaN;
  const high = sorted[Math.ceil(position)] ?? NaN;
  return low + (high - low) * (position - Math.floor(position));
}

export function quartiles(values: readonly number[]): Quartiles {
  return {
    median: quantile(values, 0.5),
    q1: quantile(values, 0.25),
    q3: quantile(values, 0.75),
    runs: values.length,
  };
}

/** Of numbers above 0; NaN of none. */
export function geometricMean(values: readonly number[]): number {
  if (values.length === 0) return NaN;
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** y = intercept + slope · x. */
export interface Line {
  readonly slope: number;
  readonly intercept: number;
  /** Largest |y − line(x)| / line(x) of the points: 0 for a straight line. */
  readonly residual: number;
}

/**
 * The straight line nearest to points whose y and whose uncertainty grow together: least squares of (y − line(x)) / y.
 * Plain least squares would leave the small points out. Needs two different x; y above 0.
 */
export function fitLine(points: readonly (readonly [number, number])[]): Line {
  const sums = { w: 0, x: 0, y: 0, xx: 0, xy: 0 };
  for (const [x, y] of points) {
    const w = 1 / y ** 2;
    sums.w += w;
    sums.x += w * x;
    sums.y += w * y;
    sums.xx += w * x * x;
    sums.xy += w * x * y;
  }
  const slope = (sums.w * sums.xy - sums.x * sums.y) / (sums.w * sums.xx - sums.x ** 2);
  const intercept = (sums.y - slope * sums.x) / sums.w;
  const away = points.map(([x, y]) => Math.abs(y / (intercept + slope * x) - 1));
  return { slope, intercept, residual: Math.max(...away) };
}
