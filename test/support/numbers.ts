// Jest's global object is slow to look into.
const { floor, imul, sqrt, log, cos, PI } = Math;

/** Reproducible numbers for tests, independent of the library's own generators. */
export class Numbers {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** In [0, 1) (mulberry32). */
  uniform(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = imul(t ^ (t >>> 15), t | 1);
    t ^= t + imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number in [0, bound). */
  below(bound: number): number {
    return floor(this.uniform() * bound);
  }

  /** Standard normal numbers. */
  normals(count: number, scale = 1): Float64Array {
    return Float64Array.from({ length: count }, () => {
      const radius = sqrt(-2 * log(1 - this.uniform()));
      return scale * radius * cos(2 * PI * this.uniform());
    });
  }

  /** Numbers at least `gap` from 0 and, all of them, at least `gap` apart from each other: no kinks, no ties. */
  apart(count: number, gap = 0.01): Float64Array {
    const order = Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; --i) {
      const j = this.below(i + 1);
      [order[i], order[j]] = [order[j] as number, order[i] as number];
    }
    const step = Math.max(2 * gap, 3 / count);
    return Float64Array.from(order, (rank) => (rank - Math.floor(count / 2) + 0.5) * step);
  }

  labels(count: number, classes: number): Int32Array {
    return Int32Array.from({ length: count }, () => this.below(classes));
  }
}

export function product(shape: readonly number[]): number {
  return shape.reduce((size, extent) => size * extent, 1);
}
