import { layersFor, makeLayer } from '#bench/layers';
import type { Layer } from '#bench/layers';
import { SMALL } from './target';

/** The layer table of the benchmarks at the batch sizes for a GPU, four times those for a CPU. */
export const GPU_LAYERS: readonly Layer[] = SMALL
  ? [makeLayer(['small', 2, 3, 8, 16]), makeLayer(['small', 2, 16, 8, 24, 3, 2])]
  : layersFor('cuda');

/** What the peers call the same layer: "N C size O kernel stride". */
export function layerWords({ batch, channels, size, filters, kernel, stride }: Layer): string {
  return [batch, channels, size, filters, kernel, stride].join(' ');
}
