// Parameter updates in place, all of a group in one native call. The classes are in ts/optim.
import { fail } from '../core/errors';
import { run } from '../core/run';
import type { Tensor } from '../core/tensor';
import { checkTensor } from './check';

/** SgdParams of native/ops.h. */
export interface SgdSettings {
  lr: number;
  momentum: number;
  dampening: number;
  weightDecay: number;
  nesterov: boolean;
  /** The velocity becomes the gradient instead of being added to. */
  firstStep: boolean;
}

/** AdamParams of native/ops.h. */
export interface AdamSettings {
  lr: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  weightDecay: number;
  /** AdamW: the decay acts on the parameter instead of the gradient. */
  decoupled: boolean;
  /** Counted from 1. */
  step: number;
}

/** velocities are null, all of them, where momentum is 0. */
export function sgdStep(
  parameters: readonly Tensor[],
  gradients: readonly Tensor[],
  velocities: readonly (Tensor | null)[],
  settings: SgdSettings,
): void {
  if (settings.momentum !== 0)
    checkLists('sgdStep', parameters, { velocities: velocities as readonly Tensor[] });
  update('sgdStep', settings, parameters, gradients, [velocities]);
}

/** The moments have the parameters' shapes. */
export function adamStep(
  parameters: readonly Tensor[],
  gradients: readonly Tensor[],
  firstMoments: readonly Tensor[],
  secondMoments: readonly Tensor[],
  settings: AdamSettings,
): void {
  checkLists('adamStep', parameters, { firstMoments, secondMoments });
  update('adamStep', settings, parameters, gradients, [firstMoments, secondMoments]);
}

function update(
  op: 'sgdStep' | 'adamStep',
  settings: SgdSettings | AdamSettings,
  parameters: readonly Tensor[],
  gradients: readonly Tensor[],
  state: readonly (readonly (Tensor | null)[])[],
): void {
  if (parameters.length === 0) return;
  checkLists(op, parameters, { gradients });
  run(op, settings, parameters, gradients, ...state);
  for (const parameter of parameters) parameter.handle.markWritten();
}

function checkLists(
  op: string,
  parameters: readonly Tensor[],
  lists: Record<string, readonly Tensor[]>,
): void {
  for (const [name, list] of Object.entries(lists)) {
    if (list.length !== parameters.length) {
      fail(op, name, `as many as there are parameters, ${parameters.length}`, String(list.length));
    }
    list.forEach((item, i) => {
      const parameter = parameters[i] as Tensor;
      checkTensor(op, `${name}[${i}]`, item, { shape: parameter.shape, like: parameter });
    });
  }
}
