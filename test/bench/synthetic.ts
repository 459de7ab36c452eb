import type { Measurement } from '../../ts/bench/measurement';
import { FORMAT } from '../../ts/bench/results';
import type { BenchResults } from '../../ts/bench/results';

const exact = (median: number) => ({ median, q1: 0.99 * median, q3: 1.01 * median, runs: 10 });

/** 200 GFLOP/s and 40 GB/s. */
export const CEILINGS = {
  flops: { one: exact(1e11), all: exact(2e11) },
  bandwidth: { one: exact(3e10), all: exact(4e10) },
};

/** A layer of 1 GFLOP and 40 MB: 5 ms at least, as arithmetic is what limits it. */
export function layerFigure(contestant: string, what: string, median: number, subject = 'A'): Measurement {
  return {
    kind: 'layer',
    subject,
    what,
    contestant,
    unit: 'seconds',
    ...exact(median),
    flops: 1e9,
    bytes: 4e7,
  };
}

/** What a run might have found. */
export function syntheticResults(measurements: readonly Measurement[] = FIGURES): BenchResults {
  return {
    ...{ name: 'spherenet bench', format: FORMAT, created: '2026-01-02T03:04:05.000Z', version: '1.2.3' },
    ...{
      command: 'npx spherenet bench',
      effort: 'full',
      filter: null,
      ceilings: CEILINGS,
      measurements,
      peers: [],
    },
    machine: {
      ...{ device: 'cpu', simd: 'avx512', threads: 2, processor: 'Abacus', withoutCuda: '', node: 'v20' },
      ...{ platform: 'linux x64', cpu: 'Abacus', cores: 2, memoryBytes: 2 ** 34, lastCacheBytes: 2 ** 25 },
    },
    ...{ notes: ['memory ResNet-18, batch 8: no memory'], seconds: 60 },
  };
}

export const FIGURES: readonly Measurement[] = [
  layerFigure('conv2d', 'forward', 6.25e-3),
  layerFigure('SphereConv', 'forward', 7.5e-3),
  layerFigure('conv2d', 'forward', 10e-3, 'B'),
  layerFigure('SphereConv', 'forward', 10e-3, 'B'),
  ...(['plain', 'spherical'] as const).flatMap((contestant, i): Measurement[] => [
    {
      ...{ kind: 'step', subject: 'CNN-9, batch 64', what: 'training step', contestant, unit: 'seconds' },
      ...{ ...exact(0.32 * (1 + i)), images: 64 },
    },
    {
      ...{
        kind: 'memory',
        subject: 'CNN-9, batch 64',
        what: 'saved for backward',
        contestant,
        unit: 'bytes',
      },
      ...exact(163e6 * (1 + i)),
    },
  ]),
  {
    ...{
      kind: 'loader',
      subject: 'data.loader',
      what: 'batch 128',
      contestant: 'as they are',
      unit: 'seconds',
    },
    ...{ ...exact(0.01), images: 10_000 },
  },
  {
    ...{ kind: 'overhead', subject: 'an op on tiny tensors', what: 'JavaScript', contestant: 'add' },
    ...{ unit: 'seconds', ...exact(3.21e-6) },
  },
  ...[8, 16, 32].map((x): Measurement => ({
    ...{ kind: 'growth', subject: 'batch', what: 'training step', contestant: 'spherical', x },
    ...{ unit: 'seconds', ...exact(x * 1e-3) },
  })),
];
