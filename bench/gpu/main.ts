// One stage of bench/gpu/run.sh: `node main.js STAGE [WORD…] --out FOLDER --work FOLDER --seconds S`.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { device } from 'spherenet';
import { environment } from './environment';
import { kernels, kernelsTarget } from './kernels';
import { parity } from './parity/run';
import { peers } from './peers';
import { report } from './report';
import { sanitizer } from './sanitizer';
import { EXIT_NO_DEVICE, parseSession, readResults, readStage, writeResults } from './session';
import type { Session } from './session';
import { TARGET, whyNot } from './target';
import { steps, timings } from './timings';
import { training } from './training';

type Stage = (session: Session) => number | Promise<number>;

/** Those that compute on the device. */
const ON_DEVICE: Readonly<Record<string, Stage>> = {
  ...{ parity, timings, steps, training },
  'kernels-target': kernelsTarget,
};
const OTHERS: Readonly<Record<string, Stage>> = {
  ...{ begin, environment, peers, sanitizer, kernels, report, note },
  'is-complete': isComplete,
};

/** `note TEXT`: what run.sh knows about a stage that could not say it itself. */
function note({ out, words }: Session): number {
  const results = readResults(out);
  results.notes.push(words.join(' '));
  writeResults(out, results);
  return 0;
}

/** Drops what an earlier run has found out about another addon; the peers are the same for all. */
function begin({ out }: Session): number {
  const path = process.env['SPHERENET_BINDING'] ?? '';
  const addon = existsSync(path) ? createHash('sha256').update(readFileSync(path)).digest('hex') : '';
  const results = readResults(out);
  if (results.addon !== addon) {
    const { peers: kept } = results.stages;
    if (results.addon)
      console.log('the results so far are of another addon: only those of the peers are kept');
    writeResults(out, { ...results, addon, notes: [], stages: kept ? { peers: kept } : {} });
  }
  return 0;
}

/** `is-complete STAGE`: succeeds where the results have all of it. */
function isComplete({ out, words }: Session): number {
  return readStage(out, words[0] ?? '')?.complete === true ? 0 : 1;
}

async function main(): Promise<number> {
  const session = parseSession(process.argv.slice(2));
  const onDevice = ON_DEVICE[session.stage];
  const stage = onDevice ?? OTHERS[session.stage];
  if (!stage) throw new Error(`no stage is named '${session.stage}'`);
  if (onDevice) {
    const reason = whyNot();
    if (reason) {
      console.error(`bench/gpu: ${reason}`);
      return EXIT_NO_DEVICE;
    }
    device.use(TARGET);
  }
  return stage(session);
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(`bench/gpu: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    process.exit(1);
  },
);
