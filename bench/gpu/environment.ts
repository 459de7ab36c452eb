// The stage `environment`: which GPU, driver and programs the figures are of.
import { existsSync, readFileSync } from 'node:fs';
import { arch, cpus, platform, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { device } from 'spherenet';
import { findProgram, parseLine, runCommand } from '#bench/commands';
import { findCudaTool } from './cuda_tools';
import { EXIT_NO_DEVICE, StageFile } from './session';
import type { Session } from './session';
import { SMALL, TARGET, whyNot } from './target';

/** The repository, or the folder that `npm run gpu:bundle` has packed. */
export const ROOT = join(__dirname, '..', '..', '..');

/** What `nvidia-smi` is asked; reading only. */
const QUERY = ['name', 'driver_version', 'memory.total', 'clocks.sm', 'clocks.mem', 'clocks.max.sm', 'clocks.max.mem', 'power.limit', 'temperature.gpu', 'pstate']; // prettier-ignore

export interface EnvironmentData {
  date: string;
  device: string;
  small: boolean;
  gpu: string;
  cuda: ReturnType<typeof device.cuda.status>;
  /** `nvidia-smi` at the start, by what it was asked. */
  smi: Record<string, string> | null;
  /** cudaGetDeviceProperties. */
  properties: Record<string, unknown> | null;
  bundle: unknown;
  cpu: { model: string; count: number; memoryBytes: number; simd: string; threads: number };
  system: string;
  node: string;
  tools: Record<string, string | null>;
}

export async function smi(): Promise<Record<string, string> | null> {
  const program = findProgram('nvidia-smi');
  if (!program) return null;
  let answer: string[] = [];
  await runCommand(program, [`--query-gpu=${QUERY.join(',')}`, '--format=csv,noheader', '--id=0'], {
    seconds: 20,
    onLine: (line) => (answer = line.split(',').map((word) => word.trim())),
  });
  return answer.length === QUERY.length
    ? Object.fromEntries(QUERY.map((name, i) => [name, answer[i] ?? '']))
    : null;
}

/** Where run.sh has put the program that `npm run gpu:bundle` compiled, or the one that it compiled itself. */
export function baselineProgram(work: string): string | null {
  const path = join(work, 'cudnn_baseline');
  return existsSync(path) ? path : null;
}

export async function environment(session: Session): Promise<number> {
  const reason = whyNot();
  if (reason) {
    console.error(`bench/gpu: ${reason}`);
    return EXIT_NO_DEVICE;
  }
  const manifest = join(ROOT, 'manifest.json');
  const status = device.cuda.status();
  let properties: Record<string, unknown> | null = null;
  const baseline = baselineProgram(session.work);
  if (baseline && TARGET === 'cuda') {
    await runCommand(baseline, ['--device'], {
      seconds: 20,
      onLine: (line) => (properties = parseLine(line) as Record<string, unknown> | null),
    });
  }
  const found: EnvironmentData = {
    ...{ date: new Date().toISOString(), device: TARGET, small: SMALL },
    gpu: TARGET === 'cuda' ? (status.devices[0]?.name ?? 'unknown GPU') : 'none (CPU)',
    ...{ cuda: status, smi: await smi(), properties },
    bundle: existsSync(manifest) ? (JSON.parse(readFileSync(manifest, 'utf8')) as unknown) : null,
    cpu: {
      ...{ model: cpus()[0]?.model ?? 'unknown', count: cpus().length, memoryBytes: totalmem() },
      ...{ simd: device.cpu.simd(), threads: device.cpu.threads },
    },
    ...{ system: `${platform()} ${arch()} ${release()}`, node: process.version },
    tools: {
      'compute-sanitizer': findCudaTool('compute-sanitizer'),
      ncu: findCudaTool('ncu'),
      nvcc: findCudaTool('nvcc'),
      python3: findProgram('python3'),
      cudnn_baseline: baseline,
    },
  };
  const file = new StageFile<EnvironmentData>(session, found);
  Object.assign(file.data, found);
  file.finish();
  console.log(`  ${found.gpu}, driver ${found.smi?.['driver_version'] ?? 'unknown'}, ${found.system}`);
  return 0;
}
