/** One convolution of the benchmark's layer table. */
export interface Layer {
  readonly network: string;
  readonly batch: number;
  readonly channels: number;
  readonly size: number;
  readonly filters: number;
  readonly kernel: number;
  readonly stride: number;
}

function layer(
  network: string,
  batch: number,
  channels: number,
  size: number,
  filters: number,
  kernel = 3,
  stride = 1,
): Layer {
  return { network, batch, channels, size, filters, kernel, stride };
}

/** The paper's CNN-9 (64/96/128) at batch 64 on 32x32 images; repeated layers are listed once. */
export const CNN9: readonly Layer[] = [
  layer('CNN-9', 64, 3, 32, 64),
  layer('CNN-9', 64, 64, 32, 64),
  layer('CNN-9', 64, 64, 16, 96),
  layer('CNN-9', 64, 96, 16, 96),
  layer('CNN-9', 64, 96, 8, 128),
  layer('CNN-9', 64, 128, 8, 128),
];

export function padding(layer: Layer): number {
  return (layer.kernel - 1) / 2;
}

export function outputSize(layer: Layer): number {
  return Math.floor((layer.size + 2 * padding(layer) - layer.kernel) / layer.stride) + 1;
}

/** Floating-point operations of one pass: forward, data gradient and weight gradient cost the same. */
export function flops(layer: Layer): number {
  const { batch, channels, filters, kernel } = layer;
  return 2 * batch * outputSize(layer) ** 2 * filters * channels * kernel ** 2;
}

export function label(layer: Layer): string {
  const { batch, channels, size, filters, kernel, stride } = layer;
  return `${batch}x${channels}x${size}x${size} → ${filters} k${kernel}${stride > 1 ? ` s${stride}` : ''}`;
}
