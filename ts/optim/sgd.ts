import { describe, fail } from '../core/errors';
import { sgdStep } from '../ops/optimizers';
import { checkRate, Optimizer } from './optimizer';
import type { Bucket, CommonHyper, CommonOptions, Group, Trainable } from './optimizer';

export interface SGDOptions extends CommonOptions {
  /** Share of the velocity that stays, in [0, 1); 0 by default, which needs no state. */
  momentum?: number | undefined;
  /** Share of the gradient that does not enter the velocity, in [0, 1]; 0 by default. */
  dampening?: number | undefined;
  /** Looks ahead along the velocity (Nesterov); false by default. Needs momentum and no dampening. */
  nesterov?: boolean | undefined;
}

interface SGDHyper extends CommonHyper {
  momentum: number;
  dampening: number;
  nesterov: boolean;
}

/**
 * Stochastic gradient descent, PyTorch's variant:
 *
 *     g = gradient + weightDecay · w
 *     v = g at the first step, momentum · v + (1 − dampening) · g later
 *     w = w − lr · (nesterov ? g + momentum · v : v)
 *
 * Defaults: lr 0.01, weightDecay 0.
 */
export class SGD extends Optimizer<SGDHyper> {
  /** @throws SphereNetError naming the option that is out of range */
  constructor(params: Trainable<SGDOptions>, options: SGDOptions = {}) {
    super('SGD', params, (own) => complete({ ...options, ...own }));
  }

  protected slotNames(group: Group<SGDHyper>): readonly string[] {
    return group.momentum > 0 ? ['velocity'] : [];
  }

  protected update(group: Group<SGDHyper>, { params, grads, slots, weightDecay, step }: Bucket): void {
    const { lr, momentum, dampening, nesterov } = group;
    const velocities = slots.velocity ?? params.map(() => null);
    sgdStep(params, grads, velocities, {
      lr,
      momentum,
      dampening,
      nesterov,
      weightDecay,
      firstStep: step === 1,
    });
  }
}

function complete(options: SGDOptions): SGDHyper {
  const { lr = 0.01, weightDecay = 0, decaySpheres = false } = options;
  const { momentum = 0, dampening = 0, nesterov = false } = options;
  checkRate('SGD', 'lr', lr);
  checkRate('SGD', 'weightDecay', weightDecay);
  if (!(momentum >= 0 && momentum < 1)) fail('SGD', 'momentum', 'a number in [0, 1)', describe(momentum));
  if (!(dampening >= 0 && dampening <= 1))
    fail('SGD', 'dampening', 'a number in [0, 1]', describe(dampening));
  if (nesterov && (momentum === 0 || dampening !== 0)) {
    fail('SGD', 'nesterov', 'false without momentum or with dampening', 'true');
  }
  return { lr, weightDecay, decaySpheres, momentum, dampening, nesterov };
}
