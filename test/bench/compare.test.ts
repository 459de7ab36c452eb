import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compareResults, renderComparison } from '../../ts/bench/compare';
import type { Measurement } from '../../ts/bench/measurement';
import { readResults } from '../../ts/bench/results';
import type { BenchResults } from '../../ts/bench/results';
import { layerFigure, syntheticResults } from './synthetic';

/** A run in which the only layer took so long. */
function runOf(median: number, q1 = 0.99 * median, q3 = 1.01 * median): BenchResults {
  return syntheticResults([{ ...layerFigure('conv2d', 'whole', median), q1, q3 }]);
}

function sizeOf(bytes: number): BenchResults {
  const figure = { median: bytes, q1: bytes, q3: bytes, runs: 1, unit: 'bytes' } as const;
  const names = { kind: 'memory', subject: 'CNN-9', what: 'peak', contestant: 'plain' } as const;
  return syntheticResults([{ ...names, ...figure } satisfies Measurement]);
}

function verdict(before: BenchResults, after: BenchResults): string {
  const { worse, better, same } = compareResults(before, after);
  return worse.length ? 'worse' : better.length ? 'better' : same ? 'same' : 'nothing';
}

describe('compareResults', () => {
  it('calls slower what is so beyond the quartiles', () => {
    expect(verdict(runOf(1), runOf(1.1))).toBe('worse');
    expect(verdict(runOf(1.1), runOf(1))).toBe('better');
    expect(verdict(runOf(1), runOf(1))).toBe('same');
    // A noisy run says nothing; nor does one per cent, however still it was.
    expect(verdict(runOf(1), runOf(1.1, 0.95, 1.3))).toBe('same');
    expect(verdict(runOf(1, 1, 1), runOf(1.01, 1.01, 1.01))).toBe('same');
    expect(verdict(runOf(1, 1, 1), runOf(1.03, 1.03, 1.03))).toBe('worse');
  });

  it('lets a process take a little more or less memory', () => {
    expect(verdict(sizeOf(0), sizeOf(3e6))).toBe('same');
    expect(verdict(sizeOf(0), sizeOf(5e6))).toBe('worse');
    expect(verdict(sizeOf(200e6), sizeOf(190e6))).toBe('better');
    expect(verdict(sizeOf(1e9), sizeOf(1.01e9))).toBe('same');
  });

  it('names what only one run has, and puts the worst first', () => {
    const before = syntheticResults([
      ...['a', 'b', 'gone'].map((subject) => layerFigure('conv2d', 'whole', 1, subject)),
    ]);
    const after = syntheticResults([
      layerFigure('conv2d', 'whole', 2, 'a'),
      layerFigure('conv2d', 'whole', 3, 'b'),
      layerFigure('conv2d', 'whole', 1, 'new'),
    ]);
    const { worse, onlyBefore, onlyAfter } = compareResults(before, after);
    expect(worse.map(({ key }) => key)).toEqual(['layer | b | whole | conv2d', 'layer | a | whole | conv2d']);
    expect([onlyBefore, onlyAfter]).toEqual([
      ['layer | gone | whole | conv2d'],
      ['layer | new | whole | conv2d'],
    ]);
  });
});

describe('renderComparison', () => {
  it('says it in lines', () => {
    const after = { ...runOf(1.5e-3), effort: 'quick', machine: { ...runOf(1).machine, threads: 1 } };
    expect(renderComparison(runOf(1e-3), after)).toBe(
      [
        'The machines differ: CPU, Abacus, avx512, 2 threads and CPU, Abacus, avx512, 1 thread',
        'The first run was full, the second quick',
        '',
        'Slower or larger',
        '  layer | A | whole | conv2d  1.00 ms  1.50 ms  1.50x',
        '',
        '0 of 1 figures have not changed beyond the noise',
        '',
      ].join('\n'),
    );
  });
});

describe('readResults', () => {
  let folder: string;

  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'spherenet-compare-'))));

  afterEach(() => rmSync(folder, { recursive: true }));

  it('reads what a run has written and refuses everything else in one sentence', async () => {
    const path = join(folder, 'results.json');
    await expect(readResults(path)).rejects.toThrow(
      `${path}: expected the results.json of spherenet bench, got ENOENT`,
    );
    for (const [text, got] of [
      ['{', 'text that is no JSON'],
      ['null', 'other JSON'],
      ['{"name":"spherenet bench"}', 'other JSON'],
      [JSON.stringify({ ...runOf(1), format: 99 }), 'format 99'],
    ] as const) {
      writeFileSync(path, text);
      await expect(readResults(path)).rejects.toThrow(new RegExp(`^${path}: expected .*, got ${got}$`));
    }
    writeFileSync(path, JSON.stringify(runOf(1)));
    expect(await readResults(path)).toEqual(runOf(1));
  });
});
