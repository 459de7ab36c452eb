import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

export { packageVersion } from '../core/loader';

/** Where a command line writes. */
export interface Output {
  out: (text: string) => void;
  err: (text: string) => void;
}

/** What a subcommand throws when Ctrl-C ended it and it has said so. */
export class Interrupted extends Error {}

/** Turns the first Ctrl-C into an aborted signal; the second ends the process at once. */
export function catchInterrupt(): { signal: AbortSignal; stop: () => void } {
  const controller = new AbortController();
  const onInterrupt = (): void => {
    controller.abort();
  };
  process.once('SIGINT', onInterrupt);
  return { signal: controller.signal, stop: () => process.off('SIGINT', onInterrupt) };
}

/** Finds out before the work whether its report can be written to `--out` after it. */
export async function checkFolder(folder: string): Promise<void> {
  const path = resolve(folder);
  try {
    if (!(await stat(path)).isDirectory()) {
      throw new Error(`--out ${folder}: expected a folder, or nothing there yet, got a file`);
    }
    await access(path, constants.W_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    if (code === 'ENOENT' && dirname(path) !== path) {
      await checkFolder(dirname(path));
      return;
    }
    throw new Error(`--out: expected a folder that can be written to, got ${code} for ${path}`, {
      cause: error,
    });
  }
}
