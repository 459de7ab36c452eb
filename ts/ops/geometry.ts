// Kernel sizes, strides, padding and dilation of convolutions and pools, checked and in native form.
import { checkInteger, describe, fail } from '../core/errors';
import { formatShape } from '../core/shape';
import type { Shape } from '../core/shape';

/** One number for both axes, or [height, width]. */
export type Pair = number | readonly [number, number];
/** One number for all sides, [height, width] for both sides each, or [top, bottom, left, right]. */
export type Padding = number | readonly [number, number] | readonly [number, number, number, number];

export interface ConvOptions {
  /** Step between output positions. Default 1. */
  stride?: Pair | undefined;
  /** Zeros around the image. Default 0. */
  padding?: Padding | undefined;
  /** Distance between kernel taps. Default 1. */
  dilation?: Pair | undefined;
  /** Channels and filters are split into this many groups that do not see each other. Default 1. */
  groups?: number | undefined;
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

/** Checks a number of at least 1 for both axes or [height, width]; answers both. @internal */
export function checkPair(op: string, argument: string, value: Pair): readonly [number, number] {
  const both = typeof value === 'number' ? ([value, value] as const) : value;
  if (!Array.isArray(both) || both.length !== 2) {
    fail(op, argument, 'a number or [height, width]', describe(value));
  }
  for (const number of both) checkInteger(op, argument, number, 1);
  return both as readonly [number, number];
}

/** Checks a padding; answers [top, bottom, left, right]. @internal */
export function checkPadding(op: string, value: Padding): readonly [number, number, number, number] {
  const list = typeof value === 'number' ? ([value, value] as const) : value;
  if (!Array.isArray(list) || (list.length !== 2 && list.length !== 4)) {
    fail(op, 'padding', 'a number, [height, width] or [top, bottom, left, right]', describe(value));
  }
  for (const number of list) checkInteger(op, 'padding', number, 0);
  const [a, b, c, d] = list as readonly number[] as [number, number, number?, number?];
  return c === undefined || d === undefined ? [a, a, b, b] : [a, b, c, d];
}

/** Checks that groups divide channels and filters. @internal */
export function checkGroups(op: string, groups: number, channels: number, filters: number): void {
  checkInteger(op, 'groups', groups, 1);
  if (channels % groups || filters % groups) {
    fail(
      op,
      'groups',
      `a divisor of the ${channels} input channels and the ${filters} filters`,
      String(groups),
    );
  }
}

/** Positions along an axis, `padded` long, of windows that span `reach`; at least one. */
function positions(op: string, axis: string, padded: number, reach: number, stride: number): number {
  if (reach > padded) {
    fail(op, 'kernel', `no larger than the padded input's ${axis} of ${padded}`, `one that spans ${reach}`);
  }
  return Math.floor((padded - reach) / stride) + 1;
}

/** Positions, along height and width, of windows that span so many pixels. */
function outputSize(
  op: string,
  [height, width]: readonly [number, number],
  reach: readonly [number, number],
  { strideH, strideW, padTop, padBottom, padLeft, padRight }: Windows,
): [number, number] {
  return [
    positions(op, 'height', height + padTop + padBottom, reach[0], strideH),
    positions(op, 'width', width + padLeft + padRight, reach[1], strideW),
  ];
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
  const [strideH, strideW] = checkPair(op, 'stride', options.stride ?? 1);
  const [padTop, padBottom, padLeft, padRight] = checkPadding(op, options.padding ?? 0);
  const [dilationH, dilationW] = checkPair(op, 'dilation', options.dilation ?? 1);
  const groups = options.groups ?? 1;
  checkGroups(op, groups, c, o);
  if (channels !== c / groups) {
    const reason =
      groups === 1
        ? `${c}, the input's channels`
        : `${c / groups}, the input's ${c} channels / ${groups} groups`;
    fail(op, 'weight', `[O, KH, KW, ${reason}]`, formatShape(weight));
  }
  // Spelled out, here and below: to spread one object into another costs more than the rest of a small call.
  const params = {
    strideH,
    strideW,
    padTop,
    padBottom,
    padLeft,
    padRight,
    dilationH,
    dilationW,
    groups,
  };
  const [oh, ow] = outputSize(op, [h, w], [dilationH * (kh - 1) + 1, dilationW * (kw - 1) + 1], params);
  return { params, output: [n, oh, ow, o] };
}

/** Checks a pool over input [N,H,W,C]; answers its output's shape. */
export function poolGeometry(
  op: string,
  input: Shape,
  kernel: Pair,
  options: { stride?: Pair; padding?: Padding },
): { params: PoolParams; output: Shape } {
  const [n, h, w, c] = input as [number, number, number, number];
  const [kernelH, kernelW] = checkPair(op, 'kernel', kernel);
  const [strideH, strideW] = checkPair(op, 'stride', options.stride ?? [kernelH, kernelW]);
  const [padTop, padBottom, padLeft, padRight] = checkPadding(op, options.padding ?? 0);
  if (Math.max(padTop, padBottom) >= kernelH || Math.max(padLeft, padRight) >= kernelW) {
    const size = formatShape([kernelH, kernelW]);
    fail(op, 'padding', `smaller than the kernel ${size}`, describe(options.padding));
  }
  const params = { kernelH, kernelW, strideH, strideW, padTop, padBottom, padLeft, padRight };
  const [oh, ow] = outputSize(op, [h, w], [kernelH, kernelW], params);
  return { params, output: [n, oh, ow, c] };
}
