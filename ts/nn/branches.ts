import { describe, fail } from '../core/errors';
import { formatShape, sameShape } from '../core/shape';
import type { Tensor } from '../core/tensor';
import * as ops from '../ops';
import { Module } from './module';

/**
 * Modules side by side on one input; their outputs one behind the other along the channels, as in an Inception module
 * (Szegedy et al. 2015). Paths of parameters begin with the place of the branch: `0.weight`.
 *
 * ```ts
 * new nn.Branches(new nn.SphereConv2d(64, 32, 1), new nn.SphereConv2d(64, 16, 3, { padding: 1 })); // 48 channels
 * ```
 *
 * Outputs agree in all axes but the last.
 */
export class Branches extends Module {
  readonly branches: readonly Module[];

  /** @throws SphereNetError where there is no branch, or one that is not a Module */
  constructor(...branches: Module[]) {
    super();
    if (branches.length === 0) fail('Branches', 'branches', 'at least one Module', 'none');
    branches.forEach((branch, i) => {
      if (!(branch instanceof Module)) fail('Branches', `branches[${i}]`, 'a Module', describe(branch));
    });
    this.branches = branches;
  }

  /** @throws SphereNetError where outputs differ in more than their channels */
  forward(input: Tensor): Tensor {
    const outputs = this.branches.map((branch) => branch.forward(input));
    const first = outputs[0] as Tensor;
    const place = outputs.findIndex(({ shape }) => !sameShape(shape.slice(0, -1), first.shape.slice(0, -1)));
    if (place !== -1) {
      fail(
        'Branches',
        `branches[${place}]`,
        `a module that gives ${formatShape(first.shape)} but for the channels, as branches[0] does`,
        `one that gives ${formatShape((outputs[place] as Tensor).shape)}`,
      );
    }
    return ops.concat(outputs, first.rank - 1);
  }

  protected override members(): Iterable<readonly [string, unknown]> {
    const { branches, ...others } = this;
    return [...branches.map((branch, i) => [String(i), branch] as const), ...Object.entries(others)];
  }
}
