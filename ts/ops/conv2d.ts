import { parameterDType } from '../core/dtype';
import { run } from '../core/run';
import { record } from '../core/tape';
import { allocate, allocateLike } from '../core/tensor';
import type { Tensor } from '../core/tensor';
import { sumToShape } from './arithmetic';
import { widened } from './cast';
import { checkResult, checkTensor } from './check';
import { convGeometry } from './geometry';
import type { ConvOptions } from './geometry';
import { reshape } from './reshape';

/**
 * Convolution (cross-correlation, as everywhere in deep learning) of images with filters.
 *
 * @param input [N,H,W,C]
 * @param weight [O,KH,KW,C/groups], of the input's dtype; float32 too beside 16 bits, and rounded to them for the products
 * @param bias [O], or null; float32 beside 16 bits
 * @returns [N,OH,OW,O] with OH = floor((H + top + bottom − dilation·(KH − 1) − 1) / stride) + 1
 */
export function conv2d(
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  options: ConvOptions = {},
): Tensor {
  checkTensor('conv2d', 'input', input, { axes: 'NHWC' });
  checkTensor('conv2d', 'weight', weight, { axes: 'OHWI', like: input, as: 'filter' });
  if (bias) {
    const shape = weight.shape.slice(0, 1);
    checkTensor('conv2d', 'bias', bias, { shape, like: input, as: 'parameter' });
  }
  const { params, output } = convGeometry('conv2d', input.shape, weight.shape, options);
  checkResult('conv2d', output);
  const y = allocateLike(input, output);
  run('conv2d', params, input, weight, bias, y);
  const inputs = bias ? [input, weight, bias] : [input, weight];
  return record('conv2d', y, inputs, [input, weight], (dy, saved, needs) => {
    const [x, w] = saved as [Tensor, Tensor];
    const dx = needs[0] ? allocateLike(x) : null;
    if (dx) run('conv2dDataGradient', params, dy, w, dx);
    const filters = w.shape.slice(0, 1);
    // A frozen weight costs no product: the bias gets its sum alone.
    if (!needs[1]) return [dx, null, needs[2] ? sumToShape(widened(dy), filters) : null];
    const dw = allocateLike(w);
    const dbias = needs[2] ? allocate(filters, parameterDType(x.dtype), x.device) : null;
    run('conv2dWeightGradient', params, x, dy, dw, dbias);
    return [dx, dw, dbias];
  });
}

/**
 * input · weightᵀ + bias.
 * @param input [N,D]
 * @param weight [O,D]
 * @param bias [O], or null
 * @returns [N,O]
 */
export function linear(input: Tensor, weight: Tensor, bias: Tensor | null = null): Tensor {
  checkTensor('linear', 'input', input, { axes: 'ND' });
  const [n, d] = input.shape as [number, number];
  checkTensor('linear', 'weight', weight, { axes: 'OD', like: input, as: 'filter' });
  const o = weight.shape[0] as number;
  checkTensor('linear', 'weight', weight, { shape: [o, d] });
  if (bias) checkTensor('linear', 'bias', bias, { shape: [o], like: input, as: 'parameter' });
  checkResult('linear', [n, o]);
  return reshape(conv2d(reshape(input, [n, 1, 1, d]), reshape(weight, [o, 1, 1, d]), bias), [n, o]);
}
