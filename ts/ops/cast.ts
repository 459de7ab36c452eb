import { checkDType, isFloat, isHalf } from '../core/dtype';
import type { DType } from '../core/dtype';
import { checkNumber } from '../core/errors';
import { run } from '../core/run';
import { record } from '../core/tape';
import { allocate } from '../core/tensor';
import type { Tensor } from '../core/tensor';
import { checkTensor } from './check';

/**
 * scale · x + shift as another dtype; into integers it rounds towards zero and saturates. Turns uint8 images into
 * floats: `cast(images, 'float32', { scale: 1 / 128, shift: -127.5 / 128 })`. Differentiable between floats.
 *
 * Casting its input to bfloat16 or float16 makes a network compute with activations of 16 bits: `net.forward(cast(images,
 * 'bfloat16'))`. Its parameters and their gradients stay float32.
 */
export function cast(x: Tensor, dtype: DType, options: { scale?: number; shift?: number } = {}): Tensor {
  const { scale = 1, shift = 0 } = options;
  checkTensor('cast', 'x', x, { dtype: 'any' });
  checkDType('cast', 'dtype', dtype);
  checkNumber('cast', 'scale', scale);
  checkNumber('cast', 'shift', shift);
  const y = allocate(x.shape, dtype, x.device);
  run('cast', scale, shift, x, y);
  if (!isFloat(dtype)) return y;
  const from = x.dtype;
  return record('cast', y, [x], [], (dy) => [cast(dy, from, { scale })]);
}

/** x itself, or as float32 where it has 16 bits. @internal */
export function widened(x: Tensor): Tensor {
  return isHalf(x.dtype) ? cast(x, 'float32') : x;
}
