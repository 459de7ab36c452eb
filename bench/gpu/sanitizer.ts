// The stage `sanitizer`: a small parity run under each tool of NVIDIA's compute-sanitizer.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '#bench/commands';
import { findCudaTool } from './cuda_tools';
import type { ParityData } from './parity/run';
import { readStage, secondsLeft, StageFile } from './session';
import type { Session } from './session';

const TOOLS = ['memcheck', 'racecheck', 'initcheck', 'synccheck'] as const;

export interface ToolResult {
  /** The tool's own last line. */
  summary: string;
  /** Null where the tool did not get to its summary. */
  errors: number | null;
  /** Cases of the parity run that it saw. */
  cases: number;
  total: number;
  failures: number;
  seconds: number;
  /** The first lines of what it found. */
  log: string[];
}

export interface SanitizerData {
  version: string;
  tools: Record<string, ToolResult>;
}

/** Of random cases, one of every op in every format each. */
const ROUNDS = '2';

export async function sanitizer(session: Session): Promise<number> {
  const file = new StageFile<SanitizerData>(session, { version: '', tools: {} });
  file.record.notes.length = 0;
  const program = findCudaTool('compute-sanitizer');
  if (!program) {
    file.note('nothing was checked by compute-sanitizer: it was not found');
    file.finish(false);
    return 0;
  }
  await runCommand(program, ['--version'], {
    seconds: 20,
    onLine: (line) => (file.data.version = line || file.data.version),
  });
  const missing = TOOLS.filter((tool) => typeof file.data.tools[tool]?.errors !== 'number');
  for (const [i, tool] of missing.entries()) {
    const seconds = secondsLeft(session) / (missing.length - i);
    if (seconds < 15) {
      file.note(`${tool} was not run: the time was over`);
      continue;
    }
    file.data.tools[tool] = await runTool(session, program, tool, seconds);
    const { errors, cases } = file.data.tools[tool];
    if (errors === null) file.note(`${tool} did not end: ${file.data.tools[tool].summary}`);
    console.log(`  ${tool}: ${errors ?? 'unknown'} errors in ${cases} cases`);
    file.save();
  }
  file.finish(TOOLS.every((tool) => typeof file.data.tools[tool]?.errors === 'number'));
  return 0;
}

async function runTool(
  session: Session,
  program: string,
  tool: string,
  seconds: number,
): Promise<ToolResult> {
  const folder = join(session.work, `sanitizer-${tool}`);
  const log = join(session.work, `sanitizer-${tool}.log`);
  // What an earlier run left there would count as done.
  rmSync(folder, { recursive: true, force: true });
  rmSync(log, { force: true });
  const started = Date.now();
  const result = await runCommand(
    program,
    [
      ...['--tool', tool, '--log-file', log, '--print-limit', '50', '--error-exitcode', '9'],
      ...(tool === 'racecheck' ? ['--racecheck-report', 'all'] : []),
      ...[process.execPath, process.argv[1] as string, 'parity'],
      // The program ends by itself in time, for the tool writes its summary only then.
      ...['--out', folder, '--work', folder, '--seconds', String(Math.max(seconds - 12, 5))],
    ],
    {
      ...{ seconds },
      env: {
        SPHERENET_CUDA_CACHE: '0', // a step outside of a tensor must not end in its neighbour
        SPHERENET_GPU_BENCH_SMALL: '1',
        SPHERENET_GPU_BENCH_ROUNDS: ROUNDS,
        SPHERENET_GPU_BENCH_FIXTURES: '0',
      },
    },
  );
  const lines = existsSync(log) ? readFileSync(log, 'utf8').split('\n') : [];
  const summary = lines.filter((line) => line.includes('SUMMARY')).at(-1) ?? '';
  const count = /(\d+) (?:errors?|hazards?)/.exec(summary)?.[1];
  const parity = readStage<ParityData>(folder, 'parity')?.data;
  return {
    summary:
      summary.replace(/^=*\s*/, '') || (result.timedOut ? 'its time was over' : result.errors.slice(-300)),
    ...{ errors: count === undefined || !parity ? null : Number(count), cases: parity?.randomCases ?? 0 },
    ...{ total: parity?.total ?? 0, failures: parity?.failureCount ?? 0 },
    seconds: (Date.now() - started) / 1000,
    log: count === '0' ? [] : lines.filter((line) => line.trim() !== '=========').slice(0, 80),
  };
}
