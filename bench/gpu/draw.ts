import type { Storage } from './target';

/** Reproducible numbers: the same seed gives the same case on every machine (mulberry32). */
export class Draw {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** In [0, 1). */
  uniform(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number in [low, high]. */
  between(low: number, high: number): number {
    return low + Math.floor(this.uniform() * (high - low + 1));
  }

  pick<T>(list: readonly T[]): T {
    return list[this.between(0, list.length - 1)] as T;
  }

  chance(share: number): boolean {
    return this.uniform() < share;
  }

  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  seed(): number {
    return Math.floor(this.uniform() * 2 ** 32);
  }
}

/** A seed for one of many cases, unlike those of its neighbours. */
export function seedOf(...parts: readonly (number | string)[]): number {
  let hash = 0x811c9dc5;
  for (const character of parts.join('/')) {
    hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193) >>> 0;
  }
  return hash;
}

/** Bits of fraction, and the exponent of the smallest normal number. */
const FORMATS: Readonly<Record<Storage, readonly [number, number]>> = {
  float64: [52, -1022],
  float32: [23, -126],
  bfloat16: [7, -126],
  float16: [10, -14],
};

/** The nearest number that a format holds, ties to even; no overflow. */
export function rounded(value: number, format: Storage): number {
  if (format === 'float64' || value === 0) return value;
  if (format === 'float32') return Math.fround(value);
  const [fraction, smallest] = FORMATS[format];
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(value))), smallest);
  const step = 2 ** (exponent - fraction);
  const steps = value / step;
  const below = Math.floor(steps);
  const rest = steps - below;
  const up = rest > 0.5 || (rest === 0.5 && below % 2 !== 0);
  return (below + (up ? 1 : 0)) * step;
}
