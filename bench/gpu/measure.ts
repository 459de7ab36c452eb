import { quantile } from '#bench/statistics';
import { timeInTurn } from '#bench/timing';
import type { Rotation, TimingPlan } from '#bench/timing';
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

const BATCHES = SMALL ? 3 : 9;

export const BATCH_PLAN: TimingPlan = {
  ...{ seconds: 0, leastRuns: BATCHES, mostRuns: BATCHES },
  ...{ sampleSeconds: SMALL ? 0.004 : 0.025, leastCalls: 3, mostCalls: 4000 },
};

/** Inputs and outputs are rotated through this many bytes, several times any L2. */
export const ROTATION: Rotation = { pastBytes: 192 * 2 ** 20, mostBytes: 3e9 };

/** Times several functions in turn, a batch of each, so that a drifting clock is the same to all. */
export function timeInBatches(functions: readonly ((run: number) => void)[]): Timing[] {
  const samples = timeInTurn(
    functions.map((call) => ({ call })),
    BATCH_PLAN,
  );
  return samples.map(({ seconds, submitted, calls }) => {
    const at = (values: readonly number[], share: number): number => 1e6 * quantile(values, share);
    return {
      ...{ median: at(seconds, 0.5), q1: at(seconds, 0.25), q3: at(seconds, 0.75) },
      ...{ submit: at(submitted, 0.5), calls, batches: BATCHES },
    };
  });
}
