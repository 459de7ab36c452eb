import { checkInteger, checkNumber } from '../core/errors';
import { random } from '../core/random';
import type { Generator } from '../core/random';
import { run } from '../core/run';
import { record } from '../core/tape';
import { allocateLike } from '../core/tensor';
import type { Tensor } from '../core/tensor';
import { checkTensor } from './check';
import { reshape } from './reshape';

export interface DropoutOptions {
  /** Without training the values pass unchanged. Default true. */
  training?: boolean;
  /** Fixes which elements go. Default: drawn from `generator`. */
  seed?: number;
  /** Default: the shared generator, see {@link random}. */
  generator?: Generator;
}

/**
 * Sets elements to 0 with probability p and scales the others by 1 / (1 − p). The mask is never stored: the gradient
 * draws it again from the same seed.
 * @param p in [0, 1)
 */
export function dropout(x: Tensor, p: number, options: DropoutOptions = {}): Tensor {
  checkTensor('dropout', 'x', x);
  checkNumber('dropout', 'p', p, 'in [0, 1)', (value) => value >= 0 && value < 1);
  if (options.training === false || p === 0) return reshape(x, x.shape);
  const seed = options.seed ?? (options.generator ?? random.generator()).nextSeed();
  checkInteger('dropout', 'seed', seed, 0, Number.MAX_SAFE_INTEGER);
  return drop(x, p, seed);
}

function drop(x: Tensor, p: number, seed: number): Tensor {
  const y = allocateLike(x);
  run('dropout', seed, p, x, y);
  return record('dropout', y, [x], [], (dy) => [drop(dy, p, seed)]);
}
