import type { Tensor } from '../core/tensor';
import * as ops from '../ops';
import { Module } from './module';

/** Puts all axes but the first in one: `[N, H, W, C]` to `[N, H·W·C]`. */
export class Flatten extends Module {
  forward(input: Tensor): Tensor {
    return ops.flatten(input);
  }
}
