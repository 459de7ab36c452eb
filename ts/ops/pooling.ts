import { run } from '../core/run';
import { record } from '../core/tape';
import { allocateLike } from '../core/tensor';
import type { Tensor } from '../core/tensor';
import { checkTensor } from './check';
import { poolGeometry } from './geometry';
import type { Padding, Pair } from './geometry';
import { reshape } from './reshape';

export interface PoolOptions {
  /** Default: the kernel's size. */
  stride?: Pair;
  /** Smaller than the kernel. Default 0. */
  padding?: Padding;
}

/**
 * The largest value of each window, [N,H,W,C] → [N,OH,OW,C]. Padding never wins. The gradient goes to the first
 * largest value of a window.
 */
export function maxPool2d(x: Tensor, kernel: Pair, options: PoolOptions = {}): Tensor {
  checkTensor('maxPool2d', 'x', x, { axes: 'NHWC' });
  const shape = x.shape;
  const { params, output } = poolGeometry('maxPool2d', shape, kernel, options);
  const y = allocateLike(x, output);
  run('maxPool2d', params, x, y);
  return record('maxPool2d', y, [x], [x], (dy, [input]) => {
    const dx = allocateLike(dy, shape);
    run('maxPool2dBackward', params, input as Tensor, dy, dx);
    return [dx];
  });
}

/**
 * The mean of each window, [N,H,W,C] → [N,OH,OW,C].
 * @param options.countPadding whether padding's zeros count in the mean; default true.
 */
export function avgPool2d(
  x: Tensor,
  kernel: Pair,
  options: PoolOptions & { countPadding?: boolean } = {},
): Tensor {
  const { countPadding = true } = options;
  checkTensor('avgPool2d', 'x', x, { axes: 'NHWC' });
  const shape = x.shape;
  const { params, output } = poolGeometry('avgPool2d', shape, kernel, options);
  const y = allocateLike(x, output);
  run('avgPool2d', params, countPadding, x, y);
  return record('avgPool2d', y, [x], [], (dy) => {
    const dx = allocateLike(dy, shape);
    run('avgPool2dBackward', params, countPadding, dy, dx);
    return [dx];
  });
}

/** The mean of each channel over the whole image, [N,H,W,C] → [N,C]. */
export function globalAvgPool2d(x: Tensor): Tensor {
  checkTensor('globalAvgPool2d', 'x', x, { axes: 'NHWC' });
  const [n, h, w, c] = x.shape as [number, number, number, number];
  return reshape(avgPool2d(x, [h, w]), [n, c]);
}
