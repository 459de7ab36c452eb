import { readFileSync } from 'node:fs';
import type { DeviceName } from '../core/device';
import type { NetworkSpec } from './networks';
import type { Rotation, TimingPlan } from './timing';

/** How much a run of the benchmarks does. */
export interface Effort {
  readonly name: string;
  /** All contestants of one layer together; a network's training step; each of the smaller benchmarks. */
  readonly layerSeconds: number;
  readonly stepSeconds: number;
  readonly otherSeconds: number;
  /** Samples of each contestant. */
  readonly leastRuns: number;
  readonly mostRuns: number;
  /** Of one measurement of the ceilings, of which there is one before each layer. */
  readonly ceilingSeconds: number;
  /** Trained in both kinds, plain and spherical. */
  readonly networks: readonly Omit<NetworkSpec, 'angular'>[];
  readonly growth: GrowthPlan;
  /** That the loader goes through in one run. */
  readonly loaderImages: number;
  /** Tiny ops in one run; JavaScript may be as many ahead of the kernels. */
  readonly overheadCalls: number;
  /** Whether peers compile single layers, which takes them longer than everything else. */
  readonly compileLayers: boolean;
}

/** A CNN of which one property grows. */
export interface GrowthPlan {
  readonly base: Required<Pick<NetworkSpec, 'batch' | 'side' | 'width' | 'depth'>>;
  readonly batch: readonly number[];
  readonly side: readonly number[];
  readonly width: readonly number[];
  readonly depth: readonly number[];
}

export const FULL: Effort = {
  name: 'full',
  ...{ layerSeconds: 10, stepSeconds: 20, otherSeconds: 4, leastRuns: 11, mostRuns: 200 },
  ceilingSeconds: 0.8,
  networks: [
    { name: 'CNN-9', batch: 64 },
    { name: 'ResNet-32', batch: 32 },
    { name: 'ResNet-18', batch: 8 },
  ],
  growth: {
    base: { batch: 16, side: 32, width: 0.5, depth: 9 },
    batch: [8, 16, 32, 64, 128],
    side: [16, 32, 48, 64],
    width: [0.25, 0.5, 1, 1.5, 2],
    depth: [3, 9, 18, 45, 60, 69],
  },
  ...{ loaderImages: 10_000, overheadCalls: 1000, compileLayers: false },
};

/** Within five minutes on two idle cores. */
export const QUICK: Effort = {
  ...FULL,
  name: 'quick',
  ...{ layerSeconds: 1.5, stepSeconds: 4, otherSeconds: 0.7, leastRuns: 5 },
  ceilingSeconds: 0.4,
  networks: [
    { name: 'CNN-9', batch: 64 },
    { name: 'ResNet-32', batch: 8 },
    { name: 'ResNet-18', batch: 4 },
  ],
  growth: {
    base: { batch: 8, side: 32, width: 0.5, depth: 9 },
    batch: [4, 8, 16, 32],
    side: [16, 32, 48],
    width: [0.25, 0.5, 1],
    depth: [3, 18, 45, 69],
  },
  loaderImages: 5000,
};

/** How contestants that take milliseconds are timed: single calls on a CPU, many behind each other on a GPU. */
export function timingPlan(effort: Effort, device: DeviceName, seconds: number): TimingPlan {
  const { leastRuns, mostRuns } = effort;
  const batches =
    device === 'cuda' ? { sampleSeconds: 0.025, leastCalls: 3 } : { sampleSeconds: 0, leastCalls: 1 };
  return { seconds, leastRuns, mostRuns, ...batches, mostCalls: 4000 };
}

/** On a GPU, several times any second-level cache. */
const CUDA_PAST_BYTES = 192 * 2 ** 20;
/** Where the system does not say how large the last cache is. */
const USUAL_LAST_CACHE = 32 * 2 ** 20;

/** Past the device's last cache. */
export function rotationFor(device: DeviceName): Rotation {
  const pastBytes = device === 'cuda' ? CUDA_PAST_BYTES : 2 * (lastCacheBytes() ?? USUAL_LAST_CACHE);
  return { pastBytes, mostBytes: 3e9 };
}

/** The size of the CPU's last cache as Linux knows it; null elsewhere. */
export function lastCacheBytes(): number | null {
  for (const index of [4, 3, 2]) {
    try {
      const text = readFileSync(`/sys/devices/system/cpu/cpu0/cache/index${index}/size`, 'utf8');
      const [, size, unit] = /^(\d+)([KM]?)/.exec(text) ?? [];
      if (size) return Number(size) * (unit === 'M' ? 2 ** 20 : unit === 'K' ? 2 ** 10 : 1);
    } catch {
      // There is no such cache, or this is no Linux.
    }
  }
  return null;
}
