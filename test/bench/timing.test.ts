import { rotationSets, timeInTurn } from '../../ts/bench/timing';
import type { TimingPlan } from '../../ts/bench/timing';

const PLAN: TimingPlan = {
  ...{ seconds: 0, leastRuns: 2, mostRuns: 2, sampleSeconds: 0, leastCalls: 1, mostCalls: 1 },
};

describe('timeInTurn', () => {
  it('takes contestants in turn after a warm-up, and counts their runs', () => {
    const calls: string[] = [];
    const contestant = (name: string) => ({ call: (run: number) => void calls.push(`${name}${run}`) });
    const samples = timeInTurn([contestant('a'), contestant('b')], PLAN);
    expect(calls.slice(-4)).toEqual(['a2', 'b2', 'a3', 'b3']);
    expect(calls.filter((call) => call.startsWith('a'))).toEqual(['a0', 'a1', 'a2', 'a3']);
    expect(samples.map(({ seconds }) => seconds.length)).toEqual([2, 2]);
    for (const { seconds, submitted } of samples) {
      seconds.forEach((value, i) => expect(value).toBeGreaterThanOrEqual(submitted[i] as number));
    }
  });

  it('prepares what a sample consumes before it, no more than may be prepared at once', () => {
    const log: string[] = [];
    timeInTurn(
      [
        {
          prepare: (run) => void log.push(`p${run}`),
          call: (run) => void log.push(`c${run}`),
          mostCalls: 2,
        },
      ],
      { ...PLAN, leastRuns: 1, mostRuns: 1, leastCalls: 3, mostCalls: 100, sampleSeconds: 10 },
    );
    expect(log).toEqual(['p0', 'p1', 'c0', 'c1', 'p2', 'p3', 'c2', 'c3', 'p4', 'p5', 'c4', 'c5']);
  });

  it('makes samples of as many calls as take their time, within bounds', () => {
    const calls = (plan: Partial<TimingPlan>): number => {
      const [samples] = timeInTurn([{ call: () => undefined }], { ...PLAN, ...plan });
      return samples?.calls ?? NaN;
    };
    expect(calls({ sampleSeconds: 10, mostCalls: 7 })).toBe(7);
    expect(calls({ sampleSeconds: 0, leastCalls: 3, mostCalls: 7 })).toBe(3);
  });
});

describe('rotationSets', () => {
  const rotation = { pastBytes: 64, mostBytes: 1000 };

  it('touches more than the cache holds before it comes back to a set', () => {
    // 10 other sets of 7 bytes are 70.
    expect(rotationSets(7, 10, rotation)).toBe(11);
    expect(rotationSets(100, 100, rotation)).toBe(2);
  });

  it('is bounded by the memory and by a number, and never less than two', () => {
    expect(rotationSets(7, 200, rotation)).toBe(5);
    expect(rotationSets(7, 900, rotation)).toBe(2);
    expect(rotationSets(0.001, 0.001, rotation)).toBe(64);
  });
});
