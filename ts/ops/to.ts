import { checkDevice } from '../core/device';
import type { DeviceName } from '../core/device';
import { record } from '../core/tape';
import { copyTo, Tensor, viewAs } from '../core/tensor';
import { checkTensor } from './check';

/**
 * The values on a device: a copy where they are on another one, else a view of the same memory. Differentiable: the
 * gradient moves back. From the GPU it does not wait; to the GPU it waits for what the CPU is still computing.
 *
 * @throws SphereNetError (SPHERENET_DEVICE) with the reason where CUDA is not available.
 */
export function to(x: Tensor, device: DeviceName): Tensor {
  checkTensor('to', 'x', x, { dtype: 'any' });
  checkDevice('to', 'device', device);
  const from = x.device;
  if (from === device) return record('to', viewAs(x, x.shape), [x], [], (dy) => [dy]);
  return record('to', new Tensor(copyTo(x.handle, device)), [x], [], (dy) => [to(dy, from)]);
}
