import { checkNumber } from '../core/errors';
import { random } from '../core/random';
import type { Generator } from '../core/random';
import type { Tensor } from '../core/tensor';
import * as ops from '../ops';
import { Module } from './module';

export interface DropoutOptions {
  /** Where the masks come from; the default generator where none is given. */
  generator?: Generator | undefined;
}

/**
 * In training, zeroes each value with probability p and divides the others by 1 − p (Srivastava et al. 2014); in
 * inference, the identity. Any shape.
 */
export class Dropout extends Module {
  readonly p: number;
  private readonly generator: Generator | undefined;

  /** @param p probability in [0, 1); 0.5 by default */
  constructor(p = 0.5, options: DropoutOptions = {}) {
    super();
    checkNumber('Dropout', 'p', p, 'a number in [0, 1)', (value) => value >= 0 && value < 1);
    this.p = p;
    this.generator = options.generator;
  }

  forward(input: Tensor): Tensor {
    const generator = this.generator ?? random.generator();
    return ops.dropout(input, this.p, { training: this.training, generator });
  }
}
