import { isHalf } from '../core/dtype';
import { checkNumber } from '../core/errors';
import { run } from '../core/run';
import { record } from '../core/tape';
import { allocateLike } from '../core/tensor';
import type { Tensor } from '../core/tensor';
import { cast } from './cast';
import { checkLabels, checkTensor } from './check';

export interface CrossEntropyOptions {
  /** Share of the target that is spread evenly over all classes, in [0, 1). Default 0. */
  labelSmoothing?: number;
}

/**
 * Mean over the batch of the cross-entropy between softmax(logits) and the labels.
 *
 * @param logits [N,C]; computed with as float32 where they have 16 bits, and so is the loss
 * @param labels int32 [N], from 0 to C − 1
 * @returns a scalar
 */
export function softmaxCrossEntropy(
  logits: Tensor,
  labels: Tensor,
  options: CrossEntropyOptions = {},
): Tensor {
  const op = 'softmaxCrossEntropy';
  const { labelSmoothing = 0 } = options;
  checkTensor(op, 'logits', logits, { axes: 'NC' });
  checkLabels(op, labels, logits, logits.shape[1] as number);
  checkNumber(op, 'labelSmoothing', labelSmoothing, 'in [0, 1)', (value) => value >= 0 && value < 1);
  if (isHalf(logits.dtype)) return softmaxCrossEntropy(cast(logits, 'float32'), labels, options);
  const loss = allocateLike(logits, []);
  const probabilities = allocateLike(logits);
  run('softmaxCrossEntropy', labelSmoothing, logits, labels, loss, probabilities);
  return record(op, loss, [logits], [probabilities, labels], (dloss, saved) => {
    const [p, target] = saved as [Tensor, Tensor];
    const dlogits = allocateLike(p);
    run('softmaxCrossEntropyBackward', labelSmoothing, p, target, dloss, dlogits);
    return [dlogits];
  });
}
