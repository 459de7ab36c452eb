import type { Tensor } from '../core/tensor';
import { add, mul } from './arithmetic';
import { cast, widened } from './cast';
import { checkTensor } from './check';

/** Factor and shift of each channel, as SphereNorm has them: β multiplies, γ shifts. */
export interface Rescaling {
  /** Factor [O], float32 beside 16 bits. */
  readonly beta: Tensor;
  /** Shift [O], of the same dtype. */
  readonly gamma: Tensor;
}

/** Checks the factors and shifts of `channels` channels beside activations like x. */
export function checkRescaling(op: string, { beta, gamma }: Rescaling, x: Tensor, channels: number): void {
  const perChannel = { shape: [channels], like: x, as: 'parameter' } as const;
  checkTensor(op, 'rescale.beta', beta, perChannel);
  checkTensor(op, 'rescale.gamma', gamma, perChannel);
}

/** beta · x + gamma along the last axis, as an op of its own. */
export function rescaled(x: Tensor, { beta, gamma }: Rescaling): Tensor {
  const result = add(mul(widened(x), beta), gamma);
  return result.dtype === x.dtype ? result : cast(result, x.dtype);
}
