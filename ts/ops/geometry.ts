// Kernel sizes, strides, padding and dilation of convolutions and pools, checked and in native form.
import { checkInteger, describe, fail } from '../core/errors';
import { formatShape } from '../core/shape';
import type { Shape } from '../core/shape';

/** One number for both axes, or [height, width]. */
export type Pair = number | readonly [number, number];
/** One number for all sides, [height, width] for both sides each, or [top, bottom, left, right]. */
export type Padding = number | readonly [number, number] | readonly [number, number, number, number];

export interface ConvOptions {
  /** Default 1. */
  stride?: Pair;
  /** Zeros around the image. Default 0. */
  padding?: Padding;
  /** Distance between kernel taps. Default 1. */
  dilation?: Pair;
  /** Channels and filters are split into this many independent groups. Default 1. */
  groups?: number;
}

/** How windows lie on an image. */
interface Windows {
  strideH: number;
  strideW: number;
  padTop: number;
  padBottom: number;
  padLeft: number;
  padRight: number;
}

/** Conv2dParams of native/ops.h. */
export interface ConvParams extends Windows {
  dilationH: number;
  dilationW: number;
  groups: number;
}

/** Pool2dParams of native/ops.h. */
export interface PoolParams extends Windows {
  kernelH: number;
  kernelW: number;
}

function pair(op: string, argument: string, value: Pair, low: number): readonly [number, number] {
  const both = typeof value === 'number' ? ([value, value] as const) : value;
  if (!Array.isArray(both) || both.length !== 2)
    fail(op, argument, 'a number or [height, width]', describe(value));
  for (const number of both) checkInteger(op, argument, number, low);
  return both as readonly [number, number];
}

type Sides = Pick<Windows, 'padTop' | 'padBottom' | 'padLeft' | 'padRight'>;

function sides(op: string, padding: Padding): Sides {
  const list = typeof padding === 'number' ? [padding, padding] : padding;
  const expected = 'a number, [height, width] or [top, bottom, left, right]';
  if (!Array.isArray(list) || (list.length !== 2 && list.length !== 4))
    fail(op, 'padding', expected, describe(padding));
  for (const number of list) checkInteger(op, 'padding', number, 0);
  const [a, b, c, d] = list as readonly number[] as [number, number, number?, number?];
  if (c === undefined || d === undefined) return { padTop: a, padBottom: a, padLeft: b, padRight: b };
  return { padTop: a, padBottom: b, padLeft: c, padRight: d };
}

/** Positions of a window of `reach` elements along a padded axis; at least one. */
function positions(op: string, axis: string, padded: number, reach: number, stride: number): number {
  if (reach > padded) {
    fail(op, 'kernel', `no larger than the padded input's ${axis} of ${padded}`, `one that spans ${reach}`);
  }
  return Math.floor((padded - reach) / stride) + 1;
}

/** Checks a convolution of input [N,H,W,C] with weight [O,KH,KW,C/groups]; answers its output's shape. */
export function convGeometry(
  op: string,
  input: Shape,
  weight: Shape,
  options: ConvOptions,
): { params: ConvParams; output: Shape } {
  const [n, h, w, c] = input as [number, number, number, number];
  const [o, kh, kw, channels] = weight as [number, number, number, number];
  const [strideH, strideW] = pair(op, 'stride', options.stride ?? 1, 1);
  const [dilationH, dilationW] = pair(op, 'dilation', options.dilation ?? 1, 1);
  const pads = sides(op, options.padding ?? 0);
  const groups = options.groups ?? 1;
  checkInteger(op, 'groups', groups, 1);
  if (c % groups || o % groups) {
    fail(op, 'groups', `a divisor of the ${c} input channels and the ${o} filters`, String(groups));
  }
  if (channels !== c / groups) {
    const reason =
      groups === 1
        ? `${c}, the input's channels`
        : `${c / groups}, the input's ${c} channels / ${groups} groups`;
    fail(op, 'weight', `[O, KH, KW, ${reason}]`, formatShape(weight));
  }
  const oh = positions(op, 'height', h + pads.padTop + pads.padBottom, dilationH * (kh - 1) + 1, strideH);
  const ow = positions(op, 'width', w + pads.padLeft + pads.padRight, dilationW * (kw - 1) + 1, strideW);
  return { params: { strideH, strideW, ...pads, dilationH, dilationW, groups }, output: [n, oh, ow, o] };
}

/** Checks a pool over input [N,H,W,C]; answers its output's shape. */
export function poolGeometry(
  op: string,
  input: Shape,
  kernel: Pair,
  options: { stride?: Pair; padding?: Padding },
): { params: PoolParams; output: Shape } {
  const [n, h, w, c] = input as [number, number, number, number];
  const [kernelH, kernelW] = pair(op, 'kernel', kernel, 1);
  const [strideH, strideW] = pair(op, 'stride', options.stride ?? [kernelH, kernelW], 1);
  const pads = sides(op, options.padding ?? 0);
  if (
    pads.padTop >= kernelH ||
    pads.padBottom >= kernelH ||
    pads.padLeft >= kernelW ||
    pads.padRight >= kernelW
  ) {
    fail(
      op,
      'padding',
      `smaller than the kernel ${formatShape([kernelH, kernelW])}`,
      describe(options.padding),
    );
  }
  const oh = positions(op, 'height', h + pads.padTop + pads.padBottom, kernelH, strideH);
  const ow = positions(op, 'width', w + pads.padLeft + pads.padRight, kernelW, strideW);
  return { params: { kernelH, kernelW, strideH, strideW, ...pads }, output: [n, oh, ow, c] };
}
