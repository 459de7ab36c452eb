import { checkNumber } from '../core/errors';
import type { Tensor } from '../core/tensor';
import * as ops from '../ops';
import { Module } from './module';

/** max(x, 0), any shape. */
export class ReLU extends Module {
  forward(input: Tensor): Tensor {
    return ops.relu(input);
  }
}

/** x where x > 0, slope · x elsewhere, any shape. */
export class LeakyReLU extends Module {
  readonly slope: number;

  /** @param slope at least 0; 0.01 by default */
  constructor(slope = 0.01) {
    super();
    checkNumber('LeakyReLU', 'slope', slope, 'a number of at least 0', (value) => value >= 0);
    this.slope = slope;
  }

  forward(input: Tensor): Tensor {
    return ops.leakyRelu(input, this.slope);
  }
}
