import type { DeviceName } from '../core/device';

/** One convolution of the benchmarks' layer table; square images, square kernels, padding (kernel − 1) / 2. */
export interface Layer {
  readonly network: string;
  readonly batch: number;
  readonly channels: number;
  /** Side of an input image. */
  readonly size: number;
  readonly filters: number;
  readonly kernel: number;
  readonly stride: number;
}

/** What is computed of a layer. `whole` is forward and backward with both gradients. */
export type Pass = 'forward' | 'data gradient' | 'weight gradient' | 'whole';

export const PASSES: readonly Pass[] = ['forward', 'data gradient', 'weight gradient', 'whole'];

/** A GPU gets this many times the batch. */
const GPU_BATCHES = 4;

/** Network, batch, channels, size, filters, kernel (3), stride (1). */
type Row = readonly [string, number, number, number, number, number?, number?];

/** The batch is that for a CPU. Repeated layers of a network are listed once. */
const TABLE: readonly Row[] = [
  ['CNN-9', 64, 3, 32, 64],
  ['CNN-9', 64, 64, 32, 64],
  ['CNN-9', 64, 64, 16, 96],
  ['CNN-9', 64, 96, 16, 96],
  ['CNN-9', 64, 96, 8, 128],
  ['CNN-9', 64, 128, 8, 128],
  ['ResNet-32', 32, 96, 32, 96],
  ['ResNet-32', 32, 96, 32, 192, 3, 2],
  ['ResNet-32', 32, 192, 16, 192],
  ['ResNet-32', 32, 384, 8, 384],
  ['ResNet-18', 8, 64, 56, 64],
  ['ResNet-18', 8, 128, 28, 128],
  ['ResNet-18', 8, 256, 14, 256],
  ['ResNet-18', 8, 512, 7, 512],
  ['1x1', 8, 256, 56, 64, 1],
  ['5x5', 32, 32, 28, 64, 5],
];

export function makeLayer([network, batch, channels, size, filters, kernel = 3, stride = 1]: Row): Layer {
  return { network, batch, channels, size, filters, kernel, stride };
}

/** The layer table of all benchmarks and peers. */
export function layersFor(device: DeviceName): readonly Layer[] {
  const factor = device === 'cuda' ? GPU_BATCHES : 1;
  return TABLE.map((row) => makeLayer(row)).map((layer) => ({ ...layer, batch: factor * layer.batch }));
}

export function padding(layer: Layer): number {
  return (layer.kernel - 1) / 2;
}

/** Side of an output image. */
export function outputSize(layer: Layer): number {
  return Math.floor((layer.size + 2 * padding(layer) - layer.kernel) / layer.stride) + 1;
}

/** Numbers in the input, the output and the weights. */
export function elements(layer: Layer): { x: number; y: number; w: number } {
  const { batch, channels, size, filters, kernel } = layer;
  return {
    x: batch * size ** 2 * channels,
    y: batch * outputSize(layer) ** 2 * filters,
    w: filters * kernel ** 2 * channels,
  };
}

/**
 * Floating-point operations of the plain convolution, by the direct method: forward, data gradient and weight gradient
 * cost the same. What an angle costs more is not counted.
 */
export function flops(layer: Layer, pass: Pass = 'forward'): number {
  const { batch, channels, filters, kernel } = layer;
  const once = 2 * batch * outputSize(layer) ** 2 * filters * channels * kernel ** 2;
  return pass === 'whole' ? 3 * once : once;
}

/** Bytes that a pass cannot do without: each operand read once, each result written once. */
export function leastBytes(layer: Layer, pass: Pass, bytesPerNumber = 4): number {
  const { x, y, w } = elements(layer);
  return bytesPerNumber * (x + y + w) * (pass === 'whole' ? 3 : 1);
}

/** "CNN-9 64x3x32x32 → 64 k3": network, N x C x H x W, filters, kernel, and the stride where it is not 1. */
export function label({ network, batch, channels, size, filters, kernel, stride }: Layer): string {
  const shape = `${batch}x${channels}x${size}x${size}`;
  return `${network} ${shape} → ${filters} k${kernel}${stride > 1 ? ` s${stride}` : ''}`;
}
