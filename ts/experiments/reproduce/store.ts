import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SphereNetError } from '../../core/errors';
import { formatJson, writeFiles } from '../report/write';
import type { Machine } from '../results';
import type { RunConfig } from './config';
import type { Run } from './experiment';
import type { Outcome } from './outcome';

/** What a run leaves behind: a file of its own. */
export interface RunRecord {
  id: string;
  name: string;
  row: string;
  column: string;
  config: RunConfig;
  /** Where the images came from; null where there were none. */
  data: string | null;
  outcome: Outcome;
  machine: Machine;
  /** The version of this package. */
  version: string;
  /** When it ended, ISO 8601. */
  created: string;
}

/**
 * The name of a run's file: readable, and different for every configuration and every source of images.
 *
 * @param data where the images come from, in words: JPEGs are other images than the originals
 */
export function runId({ name, config }: Run, data: string | null): string {
  const slug = name.toLowerCase().replace(/[^a-z0-9.]+/g, '-').replace(/^-|-$/g, ''); // prettier-ignore
  const hash = createHash('sha256').update(canonical({ config, data })).digest('hex').slice(0, 8);
  return `${slug}-${hash}`;
}

/** Results in a folder, one JSON file per run: what is there need not be run again. */
export class RunStore {
  constructor(private readonly folder: string) {}

  /** Makes the folder. */
  async open(): Promise<void> {
    await mkdir(this.folder, { recursive: true });
  }

  /**
   * @returns null where the run has not ended yet
   * @throws SphereNetError (SPHERENET_DATA) naming a file that is no such record
   */
  async read(id: string): Promise<RunRecord | null> {
    const path = join(this.folder, `${id}.json`);
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
    const record = parse(text);
    if (record?.id !== id || record.outcome === undefined) {
      throw new SphereNetError(
        'SPHERENET_DATA',
        `${path}: expected the result of a run, got something else; delete the file to run it again`,
      );
    }
    return record;
  }

  /** The file of a run that is under way. */
  checkpoint(id: string): string {
    return join(this.folder, `${id}.checkpoint`);
  }

  /** The file appears whole or not at all. */
  async write(record: RunRecord): Promise<void> {
    await writeFiles(this.folder, { [`${record.id}.json`]: formatJson(record) });
  }
}

function parse(text: string): RunRecord | null {
  try {
    return JSON.parse(text) as RunRecord | null;
  } catch {
    return null;
  }
}

/** JSON whose keys are in order, so that equal data give equal text. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
}
