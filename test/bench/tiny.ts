import { QUICK } from '../../ts/bench/effort';
import type { Effort } from '../../ts/bench/effort';

/** Everything once or twice, on networks that are barely there. */
export const TINY: Effort = {
  ...QUICK,
  name: 'tiny',
  ...{ layerSeconds: 0, stepSeconds: 0, otherSeconds: 0, leastRuns: 2, mostRuns: 2, ceilingSeconds: 0.02 },
  networks: [
    { name: 'CNN-9', batch: 2, side: 8, width: 0.05 },
    { name: 'ResNet-32', batch: 2, side: 8, width: 0.05 },
    { name: 'ResNet-18', batch: 2, side: 32, width: 0.05 },
  ],
  growth: {
    base: { batch: 2, side: 8, width: 0.05, depth: 3 },
    ...{ batch: [2, 4], side: [8, 16], width: [0.05, 0.1], depth: [3, 69] },
  },
  ...{ loaderImages: 256, overheadCalls: 20 },
};
