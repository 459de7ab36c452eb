import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SphereNetError } from '../../core/errors';

/**
 * Writes text files into a folder, which is made where it is missing. Each file appears complete or not at all, and
 * the first of them appears only when all are on the disk.
 *
 * @throws SphereNetError (SPHERENET_DATA) naming the folder where it cannot be written
 */
export async function writeFiles(folder: string, files: Readonly<Record<string, string>>): Promise<string[]> {
  const entries = Object.entries(files).map(([name, text]) => {
    const path = join(folder, name);
    return { path, text, draft: `${path}.${process.pid}.part` };
  });
  try {
    await mkdir(folder, { recursive: true });
    await Promise.all(entries.map(({ draft, text }) => writeFile(draft, text)));
    for (const { draft, path } of entries) await rename(draft, path);
  } catch (error) {
    await Promise.all(entries.map(({ draft }) => rm(draft, { force: true }).catch(() => undefined)));
    const { code } = error as NodeJS.ErrnoException;
    throw new SphereNetError(
      'SPHERENET_DATA',
      `${folder}: expected a folder to write the report to, got ${code ?? String(error)}`,
      { cause: error },
    );
  }
  return entries.map(({ path }) => path);
}

/** JSON for people too: indented, but an array of numbers on one line. */
export function formatJson(value: unknown): string {
  const text = JSON.stringify(value, null, 1);
  return `${text.replace(/\[[-+\d.e,\s]+\]/gi, (numbers) => numbers.replace(/\s+/g, ''))}\n`;
}
