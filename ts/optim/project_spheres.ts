import { describe, fail } from '../core/errors';
import { noGrad, scope } from '../core/scope';
import { Tensor } from '../core/tensor';
import { roleOf } from '../nn/parameter';
import * as ops from '../ops';

// Beside the sum of squares of any filter that is one, this is lost in rounding.
const LEAST = 1e-30;

/**
 * Scales every filter of role `sphereKernel` to length 1, in place; other parameters stay. A filter of zeros stays one.
 * JavaScript does not wait for it.
 *
 * Such a filter enters through its direction only, and its gradient is at right angles to it and the smaller the longer
 * it is. So gradient descent makes it ever longer, which slows its learning down. Decoupled Networks (Liu et al. 2018) put
 * filters back onto the sphere after every 100 steps; the Trainer's `projectEvery` does. Their other remedy, gradients
 * multiplied by the filter's length, is not part of this library.
 *
 * @param parameters of a model, such as `model.parameters()`; those of angular heads are sphere kernels too
 */
export function projectSpheres(parameters: Iterable<Tensor>): void {
  for (const weight of parameters) {
    if (!(weight instanceof Tensor)) fail('projectSpheres', 'parameters', 'tensors', describe(weight));
    if (roleOf(weight) !== 'sphereKernel') continue;
    scope(() => {
      noGrad(() => {
        const rows = ops.reshape(weight, [weight.shape[0] as number, -1]);
        const squares = ops.sum(ops.square(rows), { axes: 1, keepDims: true });
        const unit = ops.div(rows, ops.sqrt(ops.add(squares, LEAST)));
        weight.assign(ops.reshape(unit, weight.shape));
      });
    });
  }
}
