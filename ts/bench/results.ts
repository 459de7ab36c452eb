import { readFile } from 'node:fs/promises';
import type { Ceilings } from './ceilings';
import type { BenchMachine } from './machine';
import type { Measurement } from './measurement';

/** Raised when a reader of older files would misread newer ones. */
export const FORMAT = 1;

/** What `results.json` holds: times in seconds, sizes in bytes. */
export interface BenchResults {
  readonly name: 'spherenet bench';
  readonly format: typeof FORMAT;
  /** When it ended, ISO 8601. */
  readonly created: string;
  readonly version: string;
  /** A command line that does the same again. */
  readonly command: string;
  readonly effort: string;
  readonly filter: string | null;
  readonly machine: BenchMachine;
  /** Null where nothing was measured that has a ceiling. */
  readonly ceilings: Ceilings | null;
  readonly measurements: readonly Measurement[];
  /** Names and versions of the peers that measured the same; empty without --peers. */
  readonly peers: readonly string[];
  /** Benchmarks that failed, peers that are missing, with the reason, and whatever a reader has to know. */
  readonly notes: readonly string[];
  /** How long it took. */
  readonly seconds: number;
}

/**
 * Reads what a run has written.
 *
 * @throws Error, one sentence that names the file, where it is not there or not of this kind
 */
export async function readResults(path: string): Promise<BenchResults> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const got = code ?? 'text that is no JSON';
    throw new Error(`${path}: expected the results.json of spherenet bench, got ${got}`, { cause: error });
  }
  const { name, format, measurements } = (value ?? {}) as Partial<BenchResults>;
  if (name !== 'spherenet bench' || !Array.isArray(measurements)) {
    throw new Error(`${path}: expected the results.json of spherenet bench, got other JSON`);
  }
  if (format !== FORMAT) {
    throw new Error(`${path}: expected results of format ${FORMAT}, got format ${String(format)}`);
  }
  return value as BenchResults;
}
