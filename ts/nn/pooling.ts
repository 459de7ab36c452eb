import { describe, fail } from '../core/errors';
import type { Tensor } from '../core/tensor';
import * as ops from '../ops';
import type { Padding, Pair } from '../ops';
import { checkPadding, checkPair } from '../ops/geometry';
import { Module } from './module';

export interface Pool2dOptions {
  /** Step between windows, a number or `[height, width]`; the size of the window by default. */
  stride?: Pair | undefined;
  /** Padding around the image: a number, `[height, width]` or `[top, bottom, left, right]`; 0 by default. */
  padding?: Padding | undefined;
}

/** The largest value of each window; padding never wins. `[N, H, W, C]` to `[N, OH, OW, C]`. */
export class MaxPool2d extends Module {
  private readonly window: Window;

  /**
   * @param kernel side of the window, or `[height, width]`
   * @throws SphereNetError naming the argument that is out of range
   */
  constructor(kernel: Pair, options: Pool2dOptions = {}) {
    super();
    this.window = checkWindow('MaxPool2d', kernel, options);
  }

  forward(input: Tensor): Tensor {
    const { kernel, stride, padding } = this.window;
    return ops.maxPool2d(input, kernel, { stride, padding });
  }
}

export interface AvgPool2dOptions extends Pool2dOptions {
  /** Whether padding counts as zeros in the mean (true, the default) or not at all. */
  countPadding?: boolean | undefined;
}

/** The mean of each window. `[N, H, W, C]` to `[N, OH, OW, C]`. */
export class AvgPool2d extends Module {
  private readonly window: Window;
  private readonly countPadding: boolean;

  /**
   * @param kernel side of the window, or `[height, width]`
   * @throws SphereNetError naming the argument that is out of range
   */
  constructor(kernel: Pair, options: AvgPool2dOptions = {}) {
    super();
    this.window = checkWindow('AvgPool2d', kernel, options);
    this.countPadding = options.countPadding ?? true;
  }

  forward(input: Tensor): Tensor {
    const { kernel, stride, padding } = this.window;
    return ops.avgPool2d(input, kernel, { stride, padding, countPadding: this.countPadding });
  }
}

/** The mean over the whole image. `[N, H, W, C]` to `[N, C]`. */
export class GlobalAvgPool2d extends Module {
  forward(input: Tensor): Tensor {
    return ops.globalAvgPool2d(input);
  }
}

interface Window {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly padding: Padding;
}

function checkWindow(owner: string, kernel: Pair, options: Pool2dOptions): Window {
  const { stride = kernel, padding = 0 } = options;
  const [height, width] = checkPair(owner, 'kernel', kernel);
  checkPair(owner, 'stride', stride);
  const [top, bottom, left, right] = checkPadding(owner, padding);
  if (Math.max(top, bottom) >= height || Math.max(left, right) >= width) {
    fail(owner, 'padding', `smaller than the kernel [${height}, ${width}]`, describe(padding));
  }
  return { kernel, stride, padding };
}
