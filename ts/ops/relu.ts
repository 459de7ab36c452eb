import { checkNumber } from '../core/errors';
import { run } from '../core/run';
import { record } from '../core/tape';
import { allocateLike } from '../core/tensor';
import type { Tensor } from '../core/tensor';
import { checkTensor } from './check';

/** max(x, 0); the gradient at 0 is 0. NaN stays NaN. */
export function relu(x: Tensor): Tensor {
  return rectify('relu', x, 0);
}

/** x where x > 0, else slope · x. @param slope at least 0 */
export function leakyRelu(x: Tensor, slope = 0.01): Tensor {
  checkNumber('leakyRelu', 'slope', slope, 'a number of at least 0', (value) => value >= 0);
  return rectify('leakyRelu', x, slope);
}

function rectify(op: string, x: Tensor, slope: number): Tensor {
  checkTensor(op, 'x', x);
  const y = allocateLike(x);
  run('leakyRelu', slope, x, y);
  // The output's sign tells which side the input was on, so the input need not be kept.
  return record(op, y, [x], [y], (dy, [output]) => {
    const dx = allocateLike(dy);
    run('leakyReluBackward', slope, output as Tensor, dy, dx);
    return [dx];
  });
}
