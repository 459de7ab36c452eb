import { readdir, readFile } from 'node:fs/promises';
import type { Dirent } from 'node:fs';
import { SphereNetError } from '../core/errors';

/** Throws `name: expected EXPECTED, got GOT`. */
export function failData(name: string, expected: string, got: string, cause?: unknown): never {
  throw new SphereNetError('SPHERENET_DATA', `${name}: expected ${expected}, got ${got}`, { cause });
}

/** The bytes of a file; an error names it. */
export async function readBytes(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    failData(path, 'a readable file', code === 'ENOENT' ? 'none there' : (code ?? String(error)), error);
  }
}

/** What lies in a folder, by name; `expected` says in errors what it should hold. */
export async function listFolder(folder: string, expected: string): Promise<Dirent[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    // By code units, so that the order is the same in every language of the machine.
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const got = code === 'ENOENT' ? 'nothing there' : code === 'ENOTDIR' ? 'a file' : String(code);
    failData(folder, expected, got, error);
  }
}

/** "a folder with a, b, c, d …", for errors. */
export function describeFolder(names: readonly string[]): string {
  if (names.length === 0) return 'an empty folder';
  const shown = [...names].sort().slice(0, 4);
  return `a folder with ${shown.join(', ')}${names.length > shown.length ? ' …' : ''}`;
}
