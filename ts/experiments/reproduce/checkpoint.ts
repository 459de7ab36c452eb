import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { deserialize, serialize } from 'node:v8';
import { SphereNetError } from '../../core/errors';
import type { StateDict } from '../../nn/state';
import type { OptimizerState } from '../../optim';
import type { CurvePoint } from './outcome';

/** Where a training stands between two times through its images. */
export interface TrainingState {
  /** Optimiser steps done. */
  steps: number;
  /** One point for each time through. */
  curve: CurvePoint[];
  /** Time spent so far. */
  seconds: number;
  model: StateDict;
  optimizer: OptimizerState;
}

/** Another one is not read. */
const FORMAT = 'spherenet training state 1';

/** The file from which an interrupted training goes on. */
export class Checkpoint {
  private last = performance.now();

  /** @param secondsBetween it is not written more often than this */
  constructor(
    readonly path: string,
    private readonly secondsBetween: number,
  ) {}

  /**
   * @returns null where there is none
   * @throws SphereNetError (SPHERENET_DATA) naming a file that is no checkpoint
   */
  async read(): Promise<TrainingState | null> {
    let bytes: Buffer;
    try {
      bytes = await readFile(this.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
    try {
      const { format, state } = deserialize(bytes) as { format: unknown; state: TrainingState };
      if (format === FORMAT) return state;
    } catch (error) {
      this.reject(error);
    }
    return this.reject();
  }

  /** Writes what `state` gives, whole or not at all, where the last time is long enough ago. */
  async offer(state: () => Promise<TrainingState>): Promise<void> {
    if (performance.now() - this.last < 1000 * this.secondsBetween) return;
    const bytes = serialize({ format: FORMAT, state: await state() });
    const draft = `${this.path}.${process.pid}.part`;
    try {
      await writeFile(draft, bytes);
      await rename(draft, this.path);
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
    this.last = performance.now();
  }

  /** Says that the state in the file is not one of this training. */
  reject(cause?: unknown): never {
    throw new SphereNetError(
      'SPHERENET_DATA',
      `${this.path}: expected the checkpoint of this run, got something else; delete the file to begin the run again`,
      { cause },
    );
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }
}
