import { describe, fail } from '../core/errors';
import { formatShape, sameShape } from '../core/shape';
import type { Tensor } from '../core/tensor';
import * as ops from '../ops';
import { Module } from './module';

export interface ResidualOptions {
  /** ReLU after the sum (true, the default), or the sum itself. */
  relu?: boolean | undefined;
}

/**
 * A residual unit, relu(body(x) + shortcut(x)), in the first form of He et al. 2015 with the ReLU after the sum.
 *
 * ```ts
 * const body = new nn.Sequential(
 *   new nn.SphereConv2d(64, 64, 3, { padding: 1 }), new nn.BatchNorm2d(64), new nn.ReLU(),
 *   new nn.SphereConv2d(64, 64, 3, { padding: 1 }), new nn.BatchNorm2d(64));
 * new nn.Residual(body); // relu(body(x) + x)
 * ```
 *
 * Body and shortcut give tensors of one shape; nothing is broadcast.
 */
export class Residual extends Module {
  readonly body: Module;
  /** Null where the input itself is added. */
  readonly shortcut: Module | null;
  readonly relu: boolean;

  /** @throws SphereNetError where body or shortcut is not a Module */
  constructor(body: Module, shortcut: Module | null = null, options: ResidualOptions = {}) {
    super();
    if (!(body instanceof Module)) fail('Residual', 'body', 'a Module', describe(body));
    if (shortcut !== null && !(shortcut instanceof Module)) {
      fail('Residual', 'shortcut', 'a Module or null', describe(shortcut));
    }
    this.body = body;
    this.shortcut = shortcut;
    this.relu = options.relu ?? true;
  }

  /** @throws SphereNetError where the shapes of the two summands differ */
  forward(input: Tensor): Tensor {
    const main = this.body.forward(input);
    const bypass = this.shortcut === null ? input : this.shortcut.forward(input);
    if (!sameShape(main.shape, bypass.shape)) {
      const [argument, whose] =
        this.shortcut === null ? ['body', "the input's"] : ['shortcut', "the body's output"];
      const [expected, got] = this.shortcut === null ? [bypass, main] : [main, bypass];
      fail(
        'Residual',
        argument,
        `a module that gives ${whose} shape ${formatShape(expected.shape)}`,
        `one that gives ${formatShape(got.shape)} for ${formatShape(input.shape)}`,
      );
    }
    const sum = ops.add(main, bypass);
    return this.relu ? ops.relu(sum) : sum;
  }
}
