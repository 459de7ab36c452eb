// Kernel sizes, strides, padding and dilation, checked when a layer is made and not at its first forward.
import { checkInteger } from '../core/errors';
import type { ConvOptions, Pair } from '../ops';
import { checkGroups, checkPadding, checkPair } from '../ops/geometry';

/** Checked geometry: what the ops take, and the shape of the weight. */
export interface CheckedConv {
  readonly conv: ConvOptions;
  /** `[outChannels, KH, KW, inChannels / groups]` */
  readonly weightShape: readonly [number, number, number, number];
}

/** Checks the arguments of a convolution layer. */
export function checkConv(
  owner: string,
  inChannels: number,
  outChannels: number,
  kernel: Pair,
  options: ConvOptions,
): CheckedConv {
  checkInteger(owner, 'inChannels', inChannels, 1);
  checkInteger(owner, 'outChannels', outChannels, 1);
  const { stride = 1, padding = 0, dilation = 1, groups = 1 } = options;
  const [kernelH, kernelW] = checkPair(owner, 'kernel', kernel);
  checkGroups(owner, groups, inChannels, outChannels);
  checkPair(owner, 'stride', stride);
  checkPair(owner, 'dilation', dilation);
  checkPadding(owner, padding);
  return {
    conv: { stride, padding, dilation, groups },
    weightShape: [outChannels, kernelH, kernelW, inChannels / groups],
  };
}
