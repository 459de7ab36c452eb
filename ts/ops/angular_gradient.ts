// The gradient that sphereConv2d and sphereConv2dNorm share.
import { BinaryOp } from '../core/binding';
import { run } from '../core/run';
import { allocateLike } from '../core/tensor';
import type { Tensor } from '../core/tensor';
import type { AngularForward, AngularRecipe } from './angular_forward';
import { magnitudeGradient } from './magnitude';

/** What the gradient passes before it comes to the angles, with the names of native/ops.h. */
export interface Following {
  readonly relu: boolean;
  readonly gamma: Tensor | null;
  readonly beta: Tensor | null;
  /** Statistics of the batch. */
  readonly mean: Tensor | null;
  readonly invStd: Tensor | null;
}

export const NOTHING: Following = { relu: false, gamma: null, beta: null, mean: null, invStd: null };

/** Of which inputs somebody asks for the gradient. */
export interface Needs {
  readonly x: boolean;
  readonly w: boolean;
  readonly k: boolean;
  readonly radius: boolean;
}

/** Of every input, null where nobody asks or there is no such input. */
export interface AngularGradients {
  readonly dx: Tensor | null;
  readonly dw: Tensor | null;
  readonly dk: Tensor | null;
  readonly dradius: Tensor | null;
  readonly dgamma: Tensor | null;
  readonly dbeta: Tensor | null;
}

/**
 * All gradients, from that of what comes out behind `following`; a decoupled operator has nothing behind it. Disposes
 * the angles, which nobody needs after that.
 */
export function angularGradients(
  recipe: AngularRecipe,
  forward: AngularForward,
  following: Following,
  dz: Tensor,
  needs: Needs,
): AngularGradients {
  const { params, angular, magnitude } = recipe;
  const { input, weight, y, c, k, nx, nw } = forward;
  const { relu, gamma, beta, mean, invStd } = following;
  const [dgamma, dbeta] = [gamma && allocateLike(gamma), beta && allocateLike(beta)];
  const dk = k && needs.k ? allocateLike(k) : null;
  const dw = needs.w ? allocateLike(weight) : null;
  const rest = { dw, dk, dgamma, dbeta };
  if (!magnitude && !needs.x && dw) {
    run('sphereConv2dFilterBackward', params, angular, relu, input, weight, y, c, k, nx, nw, gamma, beta, mean, invStd, dz, dw, dk, dgamma, dbeta); // prettier-ignore
    return { ...rest, dx: null, dradius: null };
  }

  const [h, r, q] = [allocateLike(y), allocateLike(nx), allocateLike(nw)];
  let dradius: Tensor | null = null;
  if (magnitude) {
    const before = magnitudeGradient(magnitude, forward, dz, needs.radius);
    run('sphereConv2dAngularBackward', angular, before.g, c, before.dg, k, nx, nw, h, r, q, dk);
    // h grows with the norm: that part of the gradient lies along x, where r subtracts.
    run('binary', BinaryOp.Sub, r, before.radial, r);
    ({ dradius } = before);
  } else if (relu || gamma) {
    run('sphereConv2dNormBackward', angular, relu, y, c, k, nx, nw, gamma, beta, mean, invStd, dz, h, r, q, dk, dgamma, dbeta); // prettier-ignore
  } else {
    run('sphereConv2dAngularBackward', angular, y, c, dz, k, nx, nw, h, r, q, dk);
  }
  y.dispose(); // The products do not need it, and their results take as much.
  const dx = needs.x ? allocateLike(input) : null;
  if (dx) run('sphereConv2dDataGradient', params, h, weight, input, r, dx);
  if (dw) run('sphereConv2dWeightGradient', params, input, h, weight, q, nw, dw);
  return { ...rest, dx, dradius };
}
