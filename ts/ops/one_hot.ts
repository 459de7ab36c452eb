import { FLOAT_DTYPES, isFloat } from '../core/dtype';
import type { FloatDType, HalfDType } from '../core/dtype';
import { checkInteger, describe, fail } from '../core/errors';
import { run } from '../core/run';
import { allocate } from '../core/tensor';
import type { Tensor } from '../core/tensor';
import { checkLabels, checkResult, checkTensor } from './check';

/**
 * One row per label, which is 1 at the label's place and 0 elsewhere. There is no gradient.
 *
 * @param labels int32 [N], from 0 to classes − 1
 * @param dtype any floating-point one; float32 by default
 * @returns [N, classes] on the labels' device
 */
export function oneHot(labels: Tensor, classes: number, dtype: FloatDType | HalfDType = 'float32'): Tensor {
  checkTensor('oneHot', 'labels', labels, { dtype: 'int32', axes: 'N' });
  checkInteger('oneHot', 'classes', classes, 1);
  if (!isFloat(dtype)) fail('oneHot', 'dtype', FLOAT_DTYPES, describe(dtype));
  checkResult('oneHot', [labels.size, classes]);
  checkLabels('oneHot', labels, labels, classes);
  const y = allocate([labels.size, classes], dtype, labels.device);
  run('oneHot', labels, y);
  return y;
}
