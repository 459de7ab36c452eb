import { checkInteger, checkNumber, fail, describe } from './errors';
import { isFullFloat } from './dtype';
import { create } from './create';
import type { TensorOptions } from './create';
import { run } from './run';
import type { Shape } from './shape';
import type { Tensor } from './tensor';

/**
 * A seeded sequence of random numbers on the host (xoshiro128**, Blackman and Vigna 2018). Tensors are filled on
 * their device by a counter-based generator (Philox4x32-10) that takes its seed from here.
 */
export class Generator {
  readonly #state = new Uint32Array(4);

  /** @param seed a whole number from 0 to 2^53 - 1 */
  constructor(seed: number) {
    checkInteger('Generator', 'seed', seed, 0, Number.MAX_SAFE_INTEGER);
    // SplitMix32 spreads the seed, so that near seeds give unrelated sequences.
    let z = (seed ^ Math.imul(Math.floor(seed / 2 ** 32), 0x85ebca6b)) >>> 0;
    for (let i = 0; i < 4; ++i) {
      z = (z + 0x9e3779b9) >>> 0;
      let x = z;
      x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
      x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
      this.#state[i] = x ^ (x >>> 15);
    }
  }

  /** Where in the sequence it is; assigning it continues from there. */
  get state(): number[] {
    return [...this.#state];
  }

  set state(state: readonly number[]) {
    if (state.length !== 4) fail('Generator', 'state', 'four numbers from Generator.state', describe(state));
    this.#state.set(state);
  }

  #next(): number {
    const s = this.#state;
    const [a, b, c, d] = s as unknown as [number, number, number, number];
    const t = Math.imul(b, 5);
    const result = Math.imul((t << 7) | (t >>> 25), 9) >>> 0;
    const shifted = b << 9;
    const c2 = c ^ a;
    const d2 = d ^ b;
    s[1] = b ^ c2;
    s[0] = a ^ d2;
    s[2] = c2 ^ shifted;
    s[3] = (d2 << 11) | (d2 >>> 21);
    return result;
  }

  /** A seed for a device's generator: a whole number below 2^53. */
  nextSeed(): number {
    return (this.#next() >>> 11) * 2 ** 32 + this.#next();
  }

  /** In [0, 1), with 53 random bits. */
  uniform(): number {
    return this.nextSeed() / 2 ** 53;
  }

  /** Mean 0, standard deviation 1 (Box–Muller). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Puts an array into a random order, in place (Fisher–Yates). */
  shuffle(array: Int32Array | number[]): void {
    for (let i = array.length - 1; i > 0; --i) {
      const j = Math.floor(this.uniform() * (i + 1));
      const kept = array[i] as number;
      array[i] = array[j] as number;
      array[j] = kept;
    }
  }
}

let shared = new Generator(0);

export interface RandomOptions extends TensorOptions {
  /** Where the seed comes from. Default: the shared generator, see {@link random.seed}. */
  generator?: Generator | undefined;
}

/** Random tensors, and the generator that everything without one of its own draws from. */
export const random = {
  /** Restarts the shared generator. At the start its seed is 0. */
  seed(seed: number): void {
    shared = new Generator(seed);
  },

  /** The shared generator. */
  generator(): Generator {
    return shared;
  },

  /** Values in [low, high), default [0, 1). */
  uniform(shape: Shape, options: RandomOptions & { low?: number; high?: number } = {}): Tensor {
    const { low = 0, high = 1, generator = shared } = options;
    checkNumber('random.uniform', 'low', low);
    checkNumber('random.uniform', 'high', high, `a number above low = ${low}`, (value) => value > low);
    const result = createFloat('random.uniform', shape, options);
    run('randomUniform', generator.nextSeed(), low, high, result);
    return result;
  },

  /** Normally distributed values; default mean 0, deviation 1. */
  normal(shape: Shape, options: RandomOptions & { mean?: number; deviation?: number } = {}): Tensor {
    const { mean = 0, deviation = 1, generator = shared } = options;
    checkNumber('random.normal', 'mean', mean);
    checkNumber('random.normal', 'deviation', deviation, 'a number of at least 0', (value) => value >= 0);
    const result = createFloat('random.normal', shape, options);
    run('randomNormal', generator.nextSeed(), mean, deviation, result);
    return result;
  },
};

function createFloat(op: string, shape: Shape, options: TensorOptions): Tensor {
  if (options.dtype && !isFullFloat(options.dtype))
    fail(op, 'dtype', "'float32' or 'float64'", describe(options.dtype));
  return create(op, shape, options);
}
