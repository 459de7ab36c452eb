import { device } from '../core/device';
import type { DeviceName } from '../core/device';
import { random } from '../core/random';
import { keep, scope } from '../core/scope';
import * as ops from '../ops';
import { flops, leastBytes } from './layers';
import type { Layer, Pass } from './layers';
import { quantile, quartiles } from './statistics';
import type { Quartiles } from './statistics';
import { timeInTurn } from './timing';
import type { TimingPlan } from './timing';

/** What the machine can do at most, measured between the benchmarks. */
export interface Ceilings {
  /** float32 operations per second of multiply-adds in registers; null on a GPU, where nothing measures it here. */
  readonly flops: { readonly one: Quartiles; readonly all: Quartiles } | null;
  /** Bytes per second, read and written; on a GPU there is no figure of one thread. */
  readonly bandwidth: { readonly one: Quartiles | null; readonly all: Quartiles };
}

/** Measures the ceilings again and again, for about `seconds` each time. */
export class CeilingProbe {
  readonly #flops = { one: [] as number[], all: [] as number[] };
  readonly #bandwidth = { one: [] as number[], all: [] as number[] };

  constructor(
    private readonly where: DeviceName,
    private readonly seconds: number,
  ) {}

  sample(): void {
    if (this.where === 'cuda') {
      this.#bandwidth.all.push(elementwiseBandwidth('cuda', 2 ** 27));
      return;
    }
    const seconds = this.seconds / 4;
    device.synchronize();
    const measure = (which: 'one' | 'all'): void => {
      this.#flops[which].push(device.cpu.fmaPeak(seconds));
      this.#bandwidth[which].push(device.cpu.memoryBandwidth(seconds));
    };
    measure('all');
    const { threads } = device.cpu;
    device.cpu.threads = 1;
    try {
      measure('one');
    } finally {
      device.cpu.threads = threads;
    }
  }

  /** Null before the first sample. */
  result(): Ceilings | null {
    const [fma, copies] = [this.#flops, this.#bandwidth];
    if (copies.all.length === 0) return null;
    return {
      flops: fma.all.length === 0 ? null : { one: quartiles(fma.one), all: quartiles(fma.all) },
      bandwidth: {
        one: copies.one.length === 0 ? null : quartiles(copies.one),
        all: quartiles(copies.all),
      },
    };
  }
}

const BANDWIDTH_PLAN: TimingPlan = {
  ...{ seconds: 0.3, leastRuns: 5, mostRuns: 9, sampleSeconds: 0.025, leastCalls: 3, mostCalls: 4000 },
};

/** Bytes per second, read and written, of an elementwise op on so many float32 numbers. */
export function elementwiseBandwidth(
  where: DeviceName,
  elements: number,
  plan: TimingPlan = BANDWIDTH_PLAN,
): number {
  const x = keep(random.uniform([elements], { device: where }));
  try {
    const call = (): void => {
      scope(() => void ops.scale(x, 1.5));
    };
    const [samples] = timeInTurn([{ call }], plan);
    return (8 * elements) / quantile(samples?.seconds ?? [], 0.5);
  } finally {
    x.dispose();
  }
}

/**
 * The roofline: seconds that a plain convolution needs at least, by the direct method, with all threads. Null where the
 * ceilings are not known.
 */
export function leastSeconds(layer: Layer, pass: Pass, ceilings: Ceilings | null): number | null {
  if (!ceilings?.flops) return null;
  return attainable(flops(layer, pass), leastBytes(layer, pass), ceilings);
}

/** The same for any number of operations and bytes. */
export function attainable(operations: number, bytes: number, { flops: peak, bandwidth }: Ceilings): number {
  const compute = peak ? operations / peak.all.median : 0;
  return Math.max(compute, bytes / bandwidth.all.median);
}
