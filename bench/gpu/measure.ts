import { device } from 'spherenet';
import { SMALL } from './target';

/** Of one call, in microseconds, over batches of calls between two synchronisations. */
export interface Timing {
  median: number;
  q1: number;
  q3: number;
  /** Until the last call of a batch had returned: near the median, JavaScript is what limits, not the device. */
  submit: number;
  /** Calls per batch. */
  calls: number;
  batches: number;
}

const BATCH_SECONDS = SMALL ? 0.004 : 0.025;
const BATCHES = SMALL ? 3 : 9;
const MOST_CALLS = 4000;

/** Inputs and outputs are rotated through this many bytes, several times any L2. */
export const ROTATION_BYTES = 192 * 2 ** 20;
const MOST_BYTES = 3e9;

/** In how many copies tensors of these sizes are rotated. One, where a profiler empties the caches itself. */
export function rotation(smallerBytes: number, allBytes: number): number {
  if (process.env['SPHERENET_GPU_BENCH_ONCE'] === '1') return 1;
  if (SMALL) return 2;
  const wanted = Math.ceil(ROTATION_BYTES / smallerBytes);
  return Math.max(2, Math.min(wanted, 64, Math.floor(MOST_BYTES / allBytes)));
}

/**
 * Times several functions in turn, a batch of each, so that a drifting clock is the same to all. Each call gets a
 * running number, to rotate its inputs by.
 */
export function timeInBatches(functions: readonly ((run: number) => void)[]): Timing[] {
  const states = functions.map((call) => {
    let run = 0;
    const batch = (calls: number): { total: number; submit: number } => {
      const begin = process.hrtime.bigint();
      for (let i = 0; i < calls; ++i) call(run++);
      const submitted = process.hrtime.bigint();
      device.synchronize();
      const end = process.hrtime.bigint();
      const each = (from: bigint, to: bigint): number => Number(to - from) / 1e3 / calls;
      return { total: each(begin, end), submit: each(begin, submitted) };
    };
    batch(3);
    const estimate = batch(5).total;
    const calls = Math.min(Math.max(Math.ceil((BATCH_SECONDS * 1e6) / estimate), 3), MOST_CALLS);
    batch(calls);
    return { batch, calls, totals: [] as number[], submits: [] as number[] };
  });
  for (let i = 0; i < BATCHES; ++i) {
    for (const { batch, calls, totals, submits } of states) {
      const { total, submit } = batch(calls);
      totals.push(total);
      submits.push(submit);
    }
  }
  return states.map(({ totals, submits, calls }) => ({
    ...{ median: quantile(totals, 0.5), q1: quantile(totals, 0.25), q3: quantile(totals, 0.75) },
    ...{ submit: quantile(submits, 0.5), calls, batches: BATCHES },
  }));
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const position = share * (sorted.length - 1);
  const low = sorted[Math.floor(position)] ?? NaN;
  const high = sorted[Math.ceil(position)] ?? NaN;
  return low + (high - low) * (position - Math.floor(position));
}
