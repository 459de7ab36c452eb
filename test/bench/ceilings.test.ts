import { attainable, CeilingProbe, elementwiseBandwidth, leastSeconds } from '../../ts/bench/ceilings';
import { lastCacheBytes, rotationFor } from '../../ts/bench/effort';
import { makeLayer } from '../../ts/bench/layers';
import { device } from '../../ts/core/device';
import { CEILINGS } from './synthetic';

describe('the ceilings', () => {
  it('are measured on one thread and on all, and leave the threads as they were', () => {
    const { threads } = device.cpu;
    const probe = new CeilingProbe('cpu', 0.02);
    expect(probe.result()).toBeNull();
    probe.sample();
    probe.sample();
    expect(device.cpu.threads).toBe(threads);
    const found = probe.result();
    for (const figures of [
      found?.flops?.one,
      found?.flops?.all,
      found?.bandwidth.one,
      found?.bandwidth.all,
    ]) {
      expect(figures?.runs).toBe(2);
      expect(figures?.median).toBeGreaterThan(1e6);
    }
  });

  it('give the time that work takes at least', () => {
    // 200 GFLOP/s, 40 GB/s.
    expect(attainable(4e9, 1e6, CEILINGS)).toBeCloseTo(0.02, 12);
    expect(attainable(1e6, 4e8, CEILINGS)).toBeCloseTo(0.01, 12);
    expect(attainable(1e15, 4e8, { ...CEILINGS, flops: null })).toBeCloseTo(0.01, 12);
    const layer = makeLayer(['hand', 1, 1, 1, 1, 1]);
    expect(leastSeconds(layer, 'forward', CEILINGS)).toBeCloseTo((4 * 3) / 4e10, 20);
    expect(leastSeconds(layer, 'forward', null)).toBeNull();
  });

  it('of an elementwise op count what it reads and writes', () => {
    const plan = { seconds: 0, leastRuns: 2, mostRuns: 2, sampleSeconds: 0, leastCalls: 1, mostCalls: 1 };
    expect(elementwiseBandwidth('cpu', 1000, plan)).toBeGreaterThan(0);
  });

  it('are refused for no time at all', () => {
    expect(() => device.cpu.memoryBandwidth(0)).toThrow(
      'device.cpu.memoryBandwidth: seconds must be a number above 0, got 0',
    );
  });
});

describe('the rotation', () => {
  it('goes past the last cache', () => {
    expect(rotationFor('cpu').pastBytes).toBeGreaterThanOrEqual(lastCacheBytes() ?? 0);
    expect(rotationFor('cuda').pastBytes).toBeGreaterThan(100e6);
  });
});
