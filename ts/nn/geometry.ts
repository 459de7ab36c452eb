// Kernel sizes, strides, padding and dilation, checked when a layer is made and not at its first forward.
import { checkInteger, describe, fail } from '../core/errors';
import type { ConvOptions, Padding, Pair } from '../ops';

/** What a convolution does with its positions; the same for ordinary and angular ones. */
export interface ConvGeometry {
  /** Step between output positions, a number or `[height, width]`; 1 by default. */
  stride?: Pair | undefined;
  /** Zeros around the image: a number, `[height, width]` or `[top, bottom, left, right]`; 0 by default. */
  padding?: Padding | undefined;
  /** Distance between the taps of a kernel, a number or `[height, width]`; 1 by default. */
  dilation?: Pair | undefined;
  /** Splits input and output channels into this many groups that do not see each other; 1 by default. */
  groups?: number | undefined;
}

/** Checked geometry: what the ops take, and the shape of the weight. */
export interface CheckedConv {
  readonly conv: Required<ConvOptions>;
  /** `[outChannels, KH, KW, inChannels / groups]` */
  readonly weightShape: readonly [number, number, number, number];
}

/** Checks the arguments of a convolution layer. */
export function checkConv(
  owner: string,
  inChannels: number,
  outChannels: number,
  kernel: Pair,
  options: ConvGeometry,
): CheckedConv {
  checkInteger(owner, 'inChannels', inChannels, 1);
  checkInteger(owner, 'outChannels', outChannels, 1);
  const { stride = 1, padding = 0, dilation = 1, groups = 1 } = options;
  const [kernelH, kernelW] = checkPair(owner, 'kernel', kernel);
  checkInteger(owner, 'groups', groups, 1);
  if (inChannels % groups !== 0 || outChannels % groups !== 0) {
    fail(
      owner,
      'groups',
      `a divisor of ${inChannels} inChannels and ${outChannels} outChannels`,
      `${groups}`,
    );
  }
  checkPair(owner, 'stride', stride);
  checkPair(owner, 'dilation', dilation);
  checkPadding(owner, padding);
  return {
    conv: { stride, padding, dilation, groups },
    weightShape: [outChannels, kernelH, kernelW, inChannels / groups],
  };
}

/** Checks a positive number for both axes or `[height, width]`; answers both. */
export function checkPair(owner: string, argument: string, value: Pair): readonly [number, number] {
  const both = typeof value === 'number' ? ([value, value] as const) : value;
  if (!Array.isArray(both) || both.length !== 2) {
    fail(owner, argument, 'a number or [height, width]', describe(value));
  }
  for (const number of both) checkInteger(owner, argument, number, 1);
  return both;
}

/** Checks a number, `[height, width]` or `[top, bottom, left, right]`; answers the last. */
export function checkPadding(owner: string, value: Padding): readonly [number, number, number, number] {
  const sides = typeof value === 'number' ? ([value, value] as const) : value;
  if (!Array.isArray(sides) || (sides.length !== 2 && sides.length !== 4)) {
    fail(owner, 'padding', 'a number, [height, width] or [top, bottom, left, right]', describe(value));
  }
  for (const side of sides) checkInteger(owner, 'padding', side, 0);
  return sides.length === 2 ? [sides[0], sides[0], sides[1], sides[1]] : sides;
}
