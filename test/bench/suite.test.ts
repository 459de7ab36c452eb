import { distinct, find, keyOf } from '../../ts/bench/measurement';
import type { Measurement } from '../../ts/bench/measurement';
import { PASSES } from '../../ts/bench/layers';
import { runSuite } from '../../ts/bench/suite';
import type { SuiteOptions, SuiteOutcome } from '../../ts/bench/suite';
import { measureStepMemory } from '../../ts/bench/step_memory';
import { TINY } from './tiny';

/** Runs part of the suite, each thing once or twice. */
function tinySuite(filter: string, more: Partial<SuiteOptions> = {}): Promise<SuiteOutcome> {
  return runSuite({
    ...{ device: 'cpu', effort: TINY, filter, signal: new AbortController().signal },
    progress: { begin: () => undefined, stop: () => undefined },
    measureMemory: (spec) => Promise.resolve(measureStepMemory(spec, 'cpu')),
    ...more,
  });
}

function expectSound(measurements: readonly Measurement[]): void {
  expect(measurements.length).toBeGreaterThan(0);
  expect(distinct(measurements.map(keyOf))).toHaveLength(measurements.length);
  for (const { median, q1, q3, runs } of measurements) {
    expect([q1 <= median, median <= q3, runs >= 1]).toEqual([true, true, true]);
  }
}

describe('the suite', () => {
  it('measures each pass of a layer, plain and spherical, beside the ceilings', async () => {
    const { measurements, ceilings, notes } = await tinySuite('cnn-9 64x128X8x8');
    expectSound(measurements);
    expect(notes).toEqual([]);
    expect(measurements.map(({ what, contestant }) => [what, contestant])).toEqual(
      PASSES.flatMap((pass) => ['conv2d', 'SphereConv'].map((contestant) => [pass, contestant])),
    );
    for (const { median, flops } of measurements) {
      expect(median).toBeGreaterThan(0);
      expect(flops).toBeGreaterThan(0);
    }
    expect(ceilings?.flops?.all.median).toBeGreaterThan(1e8);
    expect(ceilings?.bandwidth.one?.median).toBeGreaterThan(1e7);
  });

  it('measures training steps of three networks', async () => {
    const { measurements } = await tinySuite('step');
    expectSound(measurements);
    expect(distinct(measurements.map(({ subject }) => subject))).toEqual([
      'CNN-9, batch 2',
      'ResNet-32, batch 2',
      'ResNet-18, batch 2',
    ]);
    expect(measurements.every(({ images }) => images === 2)).toBe(true);
  });

  it('measures what a step keeps and takes', async () => {
    const { measurements } = await tinySuite('memory CNN-9');
    expectSound(measurements);
    for (const contestant of ['plain', 'spherical']) {
      const of = (what: string): number => find(measurements, { what, contestant })[0]?.median ?? NaN;
      expect(of('saved for backward')).toBeGreaterThan(0);
      expect(of('peak of tensors')).toBeGreaterThanOrEqual(of('saved for backward'));
      expect(of('taken after step 3')).toBe(0);
    }
  });

  it('says where the peak of the process may be of another', async () => {
    const measureMemory: SuiteOptions['measureMemory'] = (spec) =>
      Promise.resolve({ ...measureStepMemory(spec, 'cpu'), ownPeak: false });
    const { notes } = await tinySuite('memory CNN-9', { measureMemory });
    expect(notes).toEqual([
      'memory of CNN-9, batch 2: peak of the process as the system gives it, at least that of the program that started it',
    ]);
  });

  it('measures the loader and the overhead of calls', async () => {
    expectSound((await tinySuite('loader')).measurements);
    const { measurements, ceilings } = await tinySuite('overhead');
    expectSound(measurements);
    expect(distinct(measurements.map(({ what }) => what))).toEqual(['JavaScript', 'with kernel']);
    expect(ceilings).toBeNull();
  });

  it('measures growth: memory is a straight line over batch, pixels and depth', async () => {
    const { measurements } = await tinySuite('growth');
    expectSound(measurements);
    const x = (subject: string): (number | undefined)[] =>
      find(measurements, { subject, what: 'training step' }).map((each) => each.x);
    expect([x('batch'), x('side'), x('depth')]).toEqual([
      [2, 4],
      [64, 256],
      [3, 69],
    ]);
    const [small, large] = find(measurements, { subject: 'depth', what: 'saved for backward' });
    expect(large?.median).toBeGreaterThan(10 * (small?.median ?? NaN));
  });

  it('says what a filter has to be', async () => {
    await expect(tinySuite('no such thing')).rejects.toThrow(
      "--filter: expected a part of a benchmark's name, such as CNN-9 or overhead, got no such thing",
    );
  });

  it('goes on after a benchmark that failed, and says so', async () => {
    const failing = { measureMemory: () => Promise.reject(new Error('no memory')) };
    const { measurements, notes } = await tinySuite('e', { ...failing, filter: 'CNN-9, batch' });
    expect(distinct(measurements.map(({ kind }) => kind))).toEqual(['step']);
    expect(notes).toEqual(['memory CNN-9, batch 2: no memory']);
    await expect(tinySuite('memory', failing)).rejects.toThrow(
      'nothing could be measured: memory CNN-9, batch 2: no memory; ',
    );
  });

  it('ends between two benchmarks when it is interrupted', async () => {
    const controller = new AbortController();
    const begun: string[] = [];
    const progress = {
      begin: (_: number, __: number, name: string) => {
        begun.push(name);
        if (begun.length === 2) controller.abort();
      },
      stop: () => undefined,
    };
    await expect(tinySuite('step', { progress, signal: controller.signal })).rejects.toThrow('aborted');
    expect(begun).toHaveLength(2);
  });
});
