import { device } from 'spherenet';

/** Medians and quartiles in seconds. */
export interface Timing {
  readonly median: number;
  readonly q1: number;
  readonly q3: number;
  readonly runs: number;
}

/**
 * Times several functions in turn, A B A B …, so that a machine whose speed drifts is the same to all of them.
 * Each call gets the run's number, to rotate its inputs; one call of each warms up.
 */
export function timeInTurn(functions: readonly ((run: number) => void)[], seconds: number): Timing[] {
  const once = (f: (run: number) => void, run: number): number => {
    const begin = process.hrtime.bigint();
    f(run);
    device.synchronize();
    return Number(process.hrtime.bigint() - begin) / 1e9;
  };
  const round = functions.reduce((sum, f) => sum + once(f, 0), 0);
  const runs = Math.min(Math.max(Math.ceil(seconds / round), 5), 200);
  const samples: number[][] = functions.map(() => []);
  for (let run = 1; run <= runs; ++run) {
    functions.forEach((f, i) => samples[i]?.push(once(f, run)));
  }
  return samples.map(summary);
}

function summary(samples: number[]): Timing {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number): number => {
    const position = share * (sorted.length - 1);
    const low = sorted[Math.floor(position)] ?? NaN;
    const high = sorted[Math.ceil(position)] ?? NaN;
    return low + (high - low) * (position - Math.floor(position));
  };
  return { median: at(0.5), q1: at(0.25), q3: at(0.75), runs: samples.length };
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}
