import { device } from '../core/device';

/** Something that is timed. */
export interface Contestant {
  /** Makes what the call with the same number consumes; not timed. */
  readonly prepare?: (run: number) => void;
  /** Does the work once. `run` counts up, to rotate inputs by. */
  readonly call: (run: number) => void;
  /** Calls that may be prepared at once; any number by default. */
  readonly mostCalls?: number;
}

export interface TimingPlan {
  /** How long all contestants together ought to take, preparations included. */
  readonly seconds: number;
  /** Samples of each contestant; `seconds` decides between these. */
  readonly leastRuns: number;
  readonly mostRuns: number;
  /** A sample is of so many calls that it takes this long: 0 for single calls. */
  readonly sampleSeconds: number;
  readonly leastCalls: number;
  readonly mostCalls: number;
}

/** In seconds per call. */
export interface Samples {
  readonly seconds: number[];
  /** Until the last call had returned: where this is as much, JavaScript is what limits, not the device. */
  readonly submitted: number[];
  /** In each sample. */
  readonly calls: number;
}

/**
 * Times contestants in turn, A B A B …, so that a machine whose speed drifts is the same to all of them. Before that
 * each has two samples, one to warm up and one to find out how long it takes.
 */
export function timeInTurn(contestants: readonly Contestant[], plan: TimingPlan): Samples[] {
  const begin = process.hrtime.bigint();
  const clocks = contestants.map((contestant) => {
    const clock = new Clock(contestant);
    const least = Math.min(plan.leastCalls, contestant.mostCalls ?? Infinity);
    clock.sample(least);
    return { clock, least };
  });
  const warm = process.hrtime.bigint();
  let round = 0;
  const samplers = clocks.map(({ clock, least }) => {
    const start = process.hrtime.bigint();
    const { seconds } = clock.sample(least);
    const wanted = Math.ceil(plan.sampleSeconds / Math.max(seconds, 1e-9));
    const calls = Math.max(Math.min(wanted, plan.mostCalls, clock.mostCalls), least);
    round += (calls / least) * between(start, process.hrtime.bigint());
    return { clock, calls, samples: { seconds: [] as number[], submitted: [] as number[], calls } };
  });
  const left = plan.seconds - between(begin, warm);
  const runs = Math.min(Math.max(Math.ceil(left / round), plan.leastRuns), plan.mostRuns);
  for (let run = 0; run < runs; ++run) {
    for (const { clock, calls, samples } of samplers) {
      const { seconds, submitted } = clock.sample(calls);
      samples.seconds.push(seconds);
      samples.submitted.push(submitted);
    }
  }
  return samplers.map(({ samples }) => samples);
}

class Clock {
  #run = 0;

  constructor(private readonly contestant: Contestant) {}

  get mostCalls(): number {
    return this.contestant.mostCalls ?? Infinity;
  }

  /** Seconds per call, over so many. */
  sample(calls: number): { seconds: number; submitted: number } {
    const { prepare, call } = this.contestant;
    const first = this.#run;
    this.#run += calls;
    if (prepare) for (let i = 0; i < calls; ++i) prepare(first + i);
    device.synchronize();
    const begin = process.hrtime.bigint();
    for (let i = 0; i < calls; ++i) call(first + i);
    const submitted = process.hrtime.bigint();
    device.synchronize();
    const end = process.hrtime.bigint();
    return { seconds: between(begin, end) / calls, submitted: between(begin, submitted) / calls };
  }
}

function between(begin: bigint, end: bigint): number {
  return Number(end - begin) / 1e9;
}

/** Between two uses of a tensor at least `pastBytes` are touched, so that no cache still has it. */
export interface Rotation {
  readonly pastBytes: number;
  /** What all sets together may take. */
  readonly mostBytes: number;
}

/**
 * In how many sets tensors are rotated.
 *
 * @param touchedBytes of a set, by a call that touches the least
 * @param heldBytes of a set
 */
export function rotationSets(
  touchedBytes: number,
  heldBytes: number,
  { pastBytes, mostBytes }: Rotation,
): number {
  const wanted = 1 + Math.ceil(pastBytes / touchedBytes);
  return Math.max(2, Math.min(wanted, 64, Math.floor(mostBytes / heldBytes)));
}
