import { FLOAT_DTYPES, isFloat, isHalf, parameterDType } from '../core/dtype';
import type { DType } from '../core/dtype';
import { describe, fail } from '../core/errors';
import { formatShape, MAX_ELEMENTS, sameShape, sizeOf } from '../core/shape';
import type { Shape } from '../core/shape';
import { Tensor } from '../core/tensor';

/** Array.isArray without its narrowing to any[]. */
export function isArray(value: unknown): boolean {
  return Array.isArray(value);
}

/** What a tensor argument has to be. */
interface Expectation {
  /** Default: any floating-point one. */
  dtype?: DType | 'any';
  /** Its number of axes, with their names for the message: 'NHWC' or ['N', 'D']. */
  axes?: string;
  /** Its shape. */
  shape?: Shape;
  /** A tensor whose dtype and device it shares (only the device where `dtype` is given). */
  like?: Tensor;
  /** What it is where `like` holds activations, which may have 16 bits. Default: an activation too, of that dtype. */
  as?: 'parameter' | 'filter';
}

/** The dtypes of an argument beside activations of `dtype`: the rules of native/ops.h. */
function dtypesBeside(dtype: DType, role: Expectation['as']): readonly DType[] {
  if (role === 'parameter') return [parameterDType(dtype)];
  return role === 'filter' && isHalf(dtype) ? ['float32', dtype] : [dtype];
}

/** Checks a tensor argument of an op and says what is wrong with it. */
export function checkTensor(
  op: string,
  argument: string,
  value: unknown,
  expected: Expectation = {},
): asserts value is Tensor {
  if (!(value instanceof Tensor)) fail(op, argument, 'a tensor', describe(value));
  value.handle; // eslint-disable-line @typescript-eslint/no-unused-expressions -- throws where it was disposed
  const { dtype, axes, shape, like, as } = expected;
  const fits = dtype === 'any' || (dtype ? value.dtype === dtype : isFloat(value.dtype));
  if (!fits) fail(op, argument, `a ${dtype ?? FLOAT_DTYPES} tensor`, value.describe());
  if (axes !== undefined && value.rank !== axes.length) {
    fail(op, argument, `of ${axes.length} axes [${Array.from(axes).join(', ')}]`, value.describe());
  }
  if (shape && !sameShape(value.shape, shape)) {
    fail(op, argument, `of shape ${formatShape(shape)}`, value.describe());
  }
  if (like && !dtype) {
    const allowed = dtypesBeside(like.dtype, as);
    const why =
      as && isHalf(like.dtype) ? `as ${as}s are beside ${like.dtype}` : 'as the other arguments are';
    if (!allowed.includes(value.dtype))
      fail(op, argument, `${allowed.join(' or ')}, ${why}`, value.describe());
  }
  if (like && value.device !== like.device) {
    fail(op, argument, `on ${like.device}, as the other arguments are`, value.describe());
  }
}

/** Checks that an op's result can be indexed. */
export function checkResult(op: string, shape: Shape): void {
  if (sizeOf(shape) > MAX_ELEMENTS) {
    fail(op, 'result', 'of fewer than 2^31 elements', `${formatShape(shape)} with ${sizeOf(shape)}`);
  }
}

/**
 * Checks int32 labels [N] against a number of classes, before any kernel reads them. Labels that came from the host
 * are checked by their known range; others are read back once.
 */
export function checkLabels(
  op: string,
  labels: unknown,
  rows: Tensor,
  classes: number,
): asserts labels is Tensor {
  checkTensor(op, 'labels', labels, { dtype: 'int32', shape: rows.shape.slice(0, 1), like: rows });
  const { bounds } = labels.handle;
  if (bounds && bounds.low >= 0 && bounds.high < classes) return;
  const values = labels.dataSync();
  const wrong = values.findIndex((label) => label < 0 || label >= classes);
  if (wrong >= 0) {
    fail(
      op,
      'labels',
      `from 0 to ${classes - 1}, as there are ${classes} classes`,
      `${values[wrong]} at index ${wrong}`,
    );
  }
}
