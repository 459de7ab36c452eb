// The stage `kernels`: which kernels a layer launches and how long each takes, by Nsight Compute where it is found.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { device, keep, ops, random, scope } from 'spherenet';
import { runCommand } from '#bench/commands';
import { findCudaTool } from './cuda_tools';
import { GPU_LAYERS, layerWords } from './layers';
import { secondsLeft, StageFile } from './session';
import type { Session } from './session';
import { SMALL, TARGET, usePrecision, VARIANTS } from './target';
import { makeLayerWork } from './workloads';

export interface KernelTime {
  name: string;
  grid: string;
  block: string;
  microseconds: number;
}

export interface KernelsData {
  /** The launches of one call, by layer and phase; bfloat16, each kernel alone on the device with cold caches. */
  phases: Record<string, KernelTime[]>;
}

const PHASES = ['convForward', 'convBoth', 'sphereForward', 'sphereBoth', 'sphereRescaled'] as const;

/** The same small kernel this often in a row ends a phase; no op launches one so. */
const MARKS = 6;

/** What Nsight Compute watches: each layer's phases once, with marks between them. */
export function kernelsTarget(): number {
  const tiny = keep(random.uniform([3], { device: TARGET, dtype: 'float64' }));
  const mark = (): void => {
    for (let i = 0; i < MARKS; ++i) scope(() => void ops.sqrt(tiny));
    device.synchronize();
  };
  usePrecision(VARIANTS.bfloat16.precision);
  for (const layer of GPU_LAYERS) {
    const work = makeLayerWork(layer, VARIANTS.bfloat16);
    const { conv, sphere } = work;
    const phases = [
      ...[work.forward(conv), work.both(conv), work.forward(sphere), work.both(sphere)],
      work.forward(work.sphereRescaled),
    ];
    mark();
    for (const phase of phases) {
      phase(0);
      mark();
    }
    work[Symbol.dispose]();
    device.emptyCache();
  }
  return 0;
}

export async function kernels(session: Session): Promise<number> {
  const file = new StageFile<KernelsData>(session, { phases: {} });
  file.record.notes.length = 0;
  const ncu = findCudaTool('ncu');
  if (!ncu) {
    file.note('no times of single kernels: ncu (Nsight Compute) was not found');
    file.finish(false);
    return 0;
  }
  const log = join(session.work, 'kernels.csv');
  rmSync(log, { force: true });
  const result = await runCommand(
    ncu,
    [
      ...['--csv', '--log-file', log, '--metrics', 'gpu__time_duration.sum', '--print-units', 'base'],
      ...['--clock-control', 'none', '--target-processes', 'all'],
      ...[process.execPath, process.argv[1] as string, 'kernels-target'],
      ...['--out', session.work, '--work', session.work],
    ],
    { seconds: secondsLeft(session), env: { SPHERENET_GPU_BENCH_ONCE: '1' } },
  );
  if (existsSync(log)) file.data.phases = phasesOf(readFileSync(log, 'utf8'));
  const found = Object.keys(file.data.phases).length;
  const expected = GPU_LAYERS.length * PHASES.length;
  if (result.timedOut) file.note(`kernels of ${found} of ${expected} phases: the time was over`);
  else if (found < expected) {
    file.note(`kernels of ${found} of ${expected} phases: ncu ended with ${result.code}. ${result.errors}`);
  }
  file.finish(found === expected || SMALL);
  console.log(`  kernels of ${found} of ${expected} phases`);
  return 0;
}

/** Reads ncu's CSV and cuts it at the marks. */
export function phasesOf(csv: string): Record<string, KernelTime[]> {
  const lines = csv.split('\n').filter((line) => line.startsWith('"'));
  const header = cells(lines[0] ?? '');
  const column = (row: readonly string[], name: string): string => row[header.indexOf(name)] ?? '';
  const launches = lines.slice(1).map((line) => {
    const row = cells(line);
    const time = Number(column(row, 'Metric Value').replaceAll(',', ''));
    const unit = column(row, 'Metric Unit');
    const scale = unit.startsWith('n') ? 1e-3 : unit.startsWith('m') ? 1e3 : unit.startsWith('s') ? 1e6 : 1;
    const [grid, block] = [column(row, 'Grid Size'), column(row, 'Block Size')];
    return { name: column(row, 'Kernel Name'), grid, block, microseconds: time * scale };
  });
  const isMark = (at: number): boolean => {
    const group = launches.slice(at, at + MARKS);
    const [first] = group;
    return (
      group.length === MARKS &&
      /^\(1, *1, *1\)$/.test(first?.grid ?? '') &&
      group.every(({ name, grid }) => name === first?.name && grid === first.grid)
    );
  };
  const parts: KernelTime[][] = [[]];
  for (let i = 0; i < launches.length; ++i) {
    if (isMark(i)) {
      parts.push([]);
      i += MARKS - 1;
    } else {
      parts.at(-1)?.push(launches[i] as KernelTime);
    }
  }
  // Per layer: its preparation, a mark, then the phases with a mark behind each.
  const phases: Record<string, KernelTime[]> = {};
  GPU_LAYERS.forEach((layer, i) => {
    PHASES.forEach((phase, j) => {
      const at = i * (PHASES.length + 1) + 1 + j;
      const part = parts[at];
      if (part && at < parts.length - 1) phases[`${layerWords(layer)} ${phase}`] = part;
    });
  });
  return phases;
}

/** The cells of a CSV line in which all are quoted. */
function cells(line: string): string[] {
  return [...line.matchAll(/"((?:[^"]|"")*)"/g)].map(([, text = '']) => text.replaceAll('""', '"'));
}
