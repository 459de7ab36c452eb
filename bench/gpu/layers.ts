import { CNN9 } from '../layers';
import type { Layer } from '../layers';
import { SMALL } from './target';

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

/** The layer table of the benchmarks at the batch sizes for a GPU, four times those for a CPU. */
export const GPU_LAYERS: readonly Layer[] = SMALL
  ? [layer('small', 2, 3, 8, 16), layer('small', 2, 16, 8, 24, 3, 2)]
  : [
      ...CNN9.map((cnn9) => ({ ...cnn9, batch: 4 * cnn9.batch })),
      layer('ResNet-32', 128, 96, 32, 96),
      layer('ResNet-32', 128, 96, 32, 192, 3, 2),
      layer('ResNet-32', 128, 192, 16, 192),
      layer('ResNet-32', 128, 384, 8, 384),
      layer('ResNet-18', 32, 64, 56, 64),
      layer('ResNet-18', 32, 128, 28, 128),
      layer('ResNet-18', 32, 256, 14, 256),
      layer('ResNet-18', 32, 512, 7, 512),
      layer('1x1', 32, 256, 56, 64, 1),
      layer('5x5', 128, 32, 28, 64, 5),
    ];

/** What the peers call the same layer: "N C size O kernel stride". */
export function layerWords({ batch, channels, size, filters, kernel, stride }: Layer): string {
  return [batch, channels, size, filters, kernel, stride].join(' ');
}
