import { UnaryOp } from '../core/binding';
import { checkNumber } from '../core/errors';
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

/** e^x. */
export function exp(x: Tensor): Tensor {
  return unary('exp', UnaryOp.Exp, x);
}

/** The natural logarithm: −∞ at 0, NaN below. The gradient is dy / x, infinite at 0. */
export function log(x: Tensor): Tensor {
  return unary('log', UnaryOp.Log, x);
}

/** Hyperbolic tangent. */
export function tanh(x: Tensor): Tensor {
  return unary('tanh', UnaryOp.Tanh, x);
}

/** log(1 + e^x), which neither overflows nor loses small values; −log of the logistic function at −x. */
export function softplus(x: Tensor): Tensor {
  return unary('softplus', UnaryOp.Softplus, x);
}

/**
 * The angle in [0, π] whose cosine is x, which is taken into [−1, 1] first, as rounding may have led it beyond. The
 * gradient −1/√(1 − x²) is infinite at ±1: where 1 − x² falls below 1e-6 it is that of 1e-6, as in the angular ops.
 */
export function acos(x: Tensor): Tensor {
  return unary('acos', UnaryOp.Acos, x);
}

/**
 * x to a power. Below 0, an exponent that is not a whole number gives NaN. The gradient at 0 is 0 where the exponent is
 * below 1 and the slope infinite.
 *
 * @param exponent any finite number
 */
export function power(x: Tensor, exponent: number): Tensor {
  checkTensor('power', 'x', x);
  checkNumber('power', 'exponent', exponent);
  const y = allocateLike(x);
  run('power', exponent, x, y);
  return record('power', y, [x], [x], (dy, [input]) => {
    const dx = allocateLike(dy);
    run('powerBackward', exponent, input as Tensor, dy, dx);
    return [dx];
  });
}
