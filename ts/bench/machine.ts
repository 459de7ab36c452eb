import { cpus, totalmem } from 'node:os';
import { thisMachine } from '../experiments/machine';
import type { Machine } from '../experiments/results';
import { lastCacheBytes } from './effort';

/** What a run's figures are of. */
export interface BenchMachine extends Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  /** Null where the system does not say. */
  readonly lastCacheBytes: number | null;
}

export function benchMachine(): BenchMachine {
  const all = cpus();
  return {
    ...thisMachine(''),
    cpu: all[0]?.model ?? 'of unknown name',
    ...{ cores: all.length, memoryBytes: totalmem(), lastCacheBytes: lastCacheBytes() },
  };
}
