import { BinaryOp } from '../core/binding';
import { run } from '../core/run';
import { broadcastShapes, sameShape } from '../core/shape';
import type { Shape } from '../core/shape';
import { record } from '../core/tape';
import { allocateLike, viewAs } from '../core/tensor';
import type { Tensor } from '../core/tensor';
import { checkNumber } from '../core/errors';
import { checkResult, checkTensor } from './check';

function binary(op: string, code: number, a: Tensor, b: Tensor): Tensor {
  checkTensor(op, 'a', a);
  checkTensor(op, 'b', b, { like: a });
  const shape = sameShape(a.shape, b.shape) ? a.shape : broadcastShapes(op, a.shape, b.shape);
  checkResult(op, shape);
  const y = allocateLike(a, shape);
  run('binary', code, a, b, y);
  return y;
}

/** The gradient for an operand that was broadcast: summed over the axes it was repeated along. @internal */
export function sumToShape(dy: Tensor, shape: Shape): Tensor {
  if (sameShape(dy.shape, shape)) return dy;
  const aligned = [...Array<number>(dy.rank - shape.length).fill(1), ...shape];
  const sum = allocateLike(dy, aligned);
  run('sumTo', dy, sum);
  return viewAs(sum, shape);
}

/** b as a number, of an op whose arguments are named a and b. */
function checked(op: string, a: Tensor, b: number): number {
  checkTensor(op, 'a', a);
  checkNumber(op, 'b', b);
  return b;
}

/**
 * a + b with NumPy broadcasting; b may be a number.
 * @throws where shapes do not broadcast or dtypes or devices differ.
 */
export function add(a: Tensor, b: Tensor | number): Tensor {
  if (typeof b === 'number') return affine('add', a, 1, checked('add', a, b));
  const y = binary('add', BinaryOp.Add, a, b);
  const [shapeA, shapeB] = [a.shape, b.shape];
  return record('add', y, [a, b], [], (dy, _, needs) => [
    needs[0] ? sumToShape(dy, shapeA) : null,
    needs[1] ? sumToShape(dy, shapeB) : null,
  ]);
}

/** a − b with NumPy broadcasting; b may be a number. */
export function sub(a: Tensor, b: Tensor | number): Tensor {
  if (typeof b === 'number') return affine('sub', a, 1, -checked('sub', a, b));
  const y = binary('sub', BinaryOp.Sub, a, b);
  const [shapeA, shapeB] = [a.shape, b.shape];
  return record('sub', y, [a, b], [], (dy, _, needs) => [
    needs[0] ? sumToShape(dy, shapeA) : null,
    needs[1] ? affine('sub', sumToShape(dy, shapeB), -1, 0) : null,
  ]);
}

/** a · b elementwise with NumPy broadcasting; b may be a number. */
export function mul(a: Tensor, b: Tensor | number): Tensor {
  if (typeof b === 'number') return affine('mul', a, checked('mul', a, b), 0);
  const y = binary('mul', BinaryOp.Mul, a, b);
  const [shapeA, shapeB] = [a.shape, b.shape];
  return record('mul', y, [a, b], [a, b], (dy, [x, z], needs) => [
    needs[0] ? sumToShape(binary('mul', BinaryOp.Mul, dy, z as Tensor), shapeA) : null,
    needs[1] ? sumToShape(binary('mul', BinaryOp.Mul, dy, x as Tensor), shapeB) : null,
  ]);
}

/**
 * a / b elementwise with NumPy broadcasting, as IEEE 754 has it: infinite or NaN where b is 0. b may be a number, whose
 * reciprocal then multiplies.
 */
export function div(a: Tensor, b: Tensor | number): Tensor {
  if (typeof b === 'number') return affine('div', a, 1 / checked('div', a, b), 0);
  const y = binary('div', BinaryOp.Div, a, b);
  const [shapeA, shapeB] = [a.shape, b.shape];
  return record('div', y, [a, b], [b, y], (dy, [z, quotient], needs) => {
    const da = binary('div', BinaryOp.Div, dy, z as Tensor);
    if (!needs[1]) return [sumToShape(da, shapeA), null];
    const db = sumToShape(binary('div', BinaryOp.Mul, da, quotient as Tensor), shapeB);
    return [needs[0] ? sumToShape(da, shapeA) : null, affine('div', db, -1, 0)];
  });
}

/** factor · x + shift. */
export function scale(x: Tensor, factor: number, shift = 0): Tensor {
  checkTensor('scale', 'x', x);
  checkNumber('scale', 'factor', factor);
  checkNumber('scale', 'shift', shift);
  return affine('scale', x, factor, shift);
}

function affine(op: string, x: Tensor, factor: number, shift: number): Tensor {
  const y = allocateLike(x);
  run('affine', factor, shift, x, y);
  return record(op, y, [x], [], (dy) => [affine(op, dy, factor, 0)]);
}
