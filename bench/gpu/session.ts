// What a stage of run.sh is told and leaves behind: its arguments, its result file, its time.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

/** Of every file that the stages write. Raised when a reader of older files would misread newer ones. */
export const SCHEMA_VERSION = 1;

/** The exit code that asks run.sh to start the stage again: the device is lost to this process. */
export const EXIT_RESTART = 75;

/** The exit code that says that no stage can do anything here. */
export const EXIT_NO_DEVICE = 3;

/** The arguments of one stage. */
export interface Session {
  stage: string;
  /** Where results lie, also those of stages before. */
  out: string;
  /** For what need not be kept. */
  work: string;
  /** Milliseconds since 1970 at which the stage ought to end. */
  deadline: number;
  /** Further words, after the options. */
  words: string[];
}

export function parseSession(args: readonly string[]): Session {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      out: { type: 'string', default: 'gpu-results' },
      work: { type: 'string', default: 'gpu-work' },
      seconds: { type: 'string', default: '60' },
    },
  });
  const [stage = '', ...words] = positionals;
  mkdirSync(values.out, { recursive: true });
  mkdirSync(values.work, { recursive: true });
  return {
    ...{ stage, words },
    ...{ out: values.out, work: values.work },
    deadline: Date.now() + Number(values.seconds) * 1000,
  };
}

/** Seconds until the stage ought to end; negative after that. */
export function secondsLeft({ deadline }: Session): number {
  return (deadline - Date.now()) / 1000;
}

/** What a stage leaves behind. */
export interface StageRecord<T> {
  /** Whether all was done that the stage does; else it goes on where it was. */
  complete: boolean;
  /** Time spent, over all attempts. */
  seconds: number;
  /** What could not be done, and why. */
  notes: string[];
  data: T;
}

/** All that a run leaves behind: one file, so that it is easily carried about and gone on with. */
export interface Results {
  name: 'spherenet bench/gpu';
  schema: number;
  /** SHA-256 of the addon that was measured. */
  addon: string;
  stages: Record<string, StageRecord<unknown>>;
  /** What run.sh knows about stages that could not say it themselves. */
  notes: string[];
  /** Made of the stages by the stage `report`. */
  report?: unknown;
}

export function resultsPath(out: string): string {
  return join(out, 'results.json');
}

/** The results so far; empty ones where there is no file that can be read. */
export function readResults(out: string): Results {
  const empty: Results = {
    name: 'spherenet bench/gpu',
    schema: SCHEMA_VERSION,
    addon: '',
    stages: {},
    notes: [],
  };
  try {
    const results = JSON.parse(readFileSync(resultsPath(out), 'utf8')) as Results;
    return results.schema === SCHEMA_VERSION ? results : empty;
  } catch {
    return empty;
  }
}

/** The record of a stage, or null where it left none. */
export function readStage<T>(out: string, stage: string): StageRecord<T> | null {
  return (readResults(out).stages[stage] as StageRecord<T> | undefined) ?? null;
}

/** Writes the file whole or not at all. */
export function writeResults(out: string, results: Results): void {
  const path = resultsPath(out);
  writeFileSync(`${path}.new`, `${JSON.stringify(results, null, 1)}\n`);
  renameSync(`${path}.new`, path);
}

/** The record of the running stage: goes on with what an earlier attempt left. */
export class StageFile<T> {
  readonly record: StageRecord<T>;
  readonly #out: string;
  readonly #stage: string;
  readonly #markPath: string;
  readonly #secondsBefore: number;
  readonly #started = Date.now();
  #saved = 0;

  constructor({ out, work, stage }: Session, empty: T) {
    const before = readStage<T>(out, stage);
    this.record = before ?? {
      ...{ complete: false, seconds: 0, notes: [] },
      data: empty,
    };
    this.#out = out;
    this.#stage = stage;
    this.#markPath = join(work, `${stage}.running`);
    this.#secondsBefore = this.record.seconds;
  }

  get data(): T {
    return this.record.data;
  }

  /** Notes what is about to run, so that a process that dies in it can be told from one that was stopped. */
  mark(what: string): void {
    writeFileSync(this.#markPath, what);
  }

  clearMark(): void {
    rmSync(this.#markPath, { force: true });
  }

  /** What the attempt before died in, if it did. */
  takeMark(): string | null {
    if (!existsSync(this.#markPath)) return null;
    const what = readFileSync(this.#markPath, 'utf8');
    this.clearMark();
    return what;
  }

  note(text: string): void {
    if (!this.record.notes.includes(text)) this.record.notes.push(text);
  }

  save(): void {
    this.record.seconds = this.#secondsBefore + (Date.now() - this.#started) / 1000;
    const results = readResults(this.#out);
    results.stages[this.#stage] = this.record;
    writeResults(this.#out, results);
    this.#saved = Date.now();
  }

  /** {@link save}, at most every two seconds. */
  saveNowAndThen(): void {
    if (Date.now() - this.#saved > 2000) this.save();
  }

  finish(complete = true): void {
    this.record.complete = complete;
    this.clearMark();
    this.save();
  }
}
