import { UnaryOp } from '../core/binding';
import { run } from '../core/run';
import { record } from '../core/tape';
import { allocateLike } from '../core/tensor';
import type { Tensor } from '../core/tensor';
import { checkTensor } from './check';

function unary(op: string, code: number, x: Tensor): Tensor {
  checkTensor(op, 'x', x);
  const y = allocateLike(x);
  run('unary', code, x, y);
  return record(op, y, [x], [x], (dy, [input]) => {
    const dx = allocateLike(dy);
    run('unaryBackward', code, input as Tensor, dy, dx);
    return [dx];
  });
}

/** |x|; the gradient at 0 is 0. */
export function abs(x: Tensor): Tensor {
  return unary('abs', UnaryOp.Abs, x);
}

/** √x; NaN below 0. The gradient at 0, where the slope is infinite, is 0. */
export function sqrt(x: Tensor): Tensor {
  return unary('sqrt', UnaryOp.Sqrt, x);
}

/** x². */
export function square(x: Tensor): Tensor {
  return unary('square', UnaryOp.Square, x);
}
