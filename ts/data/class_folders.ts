import { extname, join } from 'node:path';
import { checkInteger, describe, fail } from '../core/errors';
import { describeFolder, failData, listFolder } from './files';

export interface ListOptions {
  /** Which classes, in which order; by default every folder within, by name. */
  classes?: readonly string[] | undefined;
  /** At most this many pictures of each class, the first by name; all by default. */
  limit?: number | undefined;
}

const ENDINGS: ReadonlySet<string> = new Set(['.jpg', '.jpeg', '.png', '.webp']);

/**
 * The pictures of `<folder>/<class>/*`, class after class, by name within each. The names lie in one block of bytes:
 * those of ImageNet are 30 MB so, where strings would be several times that.
 */
export class ImageFiles {
  /** The class of each file. */
  readonly labels: Int32Array;
  private readonly names: Buffer;
  /** Where in `names` each file's begins, and where the last ends. */
  private readonly starts: Uint32Array;

  /** @param perClass the names of each class's files; nobody else needs to hold them afterwards */
  constructor(
    private readonly folder: string,
    readonly classes: readonly string[],
    perClass: readonly PackedNames[],
  ) {
    const count = perClass.reduce((sum, { lengths }) => sum + lengths.length, 0);
    this.names = Buffer.concat(perClass.map(({ bytes }) => bytes));
    this.labels = new Int32Array(count);
    this.starts = new Uint32Array(count + 1);
    let at = 0;
    perClass.forEach(({ lengths }, label) => {
      for (const length of lengths) {
        this.labels[at] = label;
        this.starts[at + 1] = (this.starts[at] as number) + length;
        ++at;
      }
    });
  }

  get length(): number {
    return this.labels.length;
  }

  path(index: number): string {
    const name = this.names.toString('utf8', this.starts[index], this.starts[index + 1]);
    return join(this.folder, this.classes[this.labels[index] as number] as string, name);
  }
}

interface PackedNames {
  bytes: Buffer;
  lengths: Uint32Array;
}

/**
 * Lists the pictures of an image folder; each class has one at least.
 *
 * @param owner who is asked, for errors
 * @throws SphereNetError (SPHERENET_DATA) naming the folder that is missing or empty
 */
export async function listImages(
  owner: string,
  folder: string,
  { classes, limit }: ListOptions = {},
): Promise<ImageFiles> {
  if (limit !== undefined) checkInteger(owner, 'limit', limit, 1);
  const isNames =
    Array.isArray(classes) && classes.length > 0 && classes.every((name) => typeof name === 'string');
  if (classes !== undefined && !isNames) fail(owner, 'classes', 'names of folders', describe(classes));
  const found = await listClasses(folder);
  const names = classes ?? found;
  const perClass: PackedNames[] = [];
  // One after the other: all at once would hold every name as a string.
  for (const name of names) perClass.push(pack((await listPictures(join(folder, name))).slice(0, limit)));
  return new ImageFiles(folder, [...names], perClass);
}

/**
 * The class folders within a folder, by name.
 *
 * @throws SphereNetError (SPHERENET_DATA) naming the folder where it is missing or has none
 */
export async function listClasses(folder: string): Promise<string[]> {
  const entries = await listFolder(folder, 'a folder with one folder of pictures for each class');
  const found = entries
    .filter((entry) => !entry.name.startsWith('.') && !entry.isFile())
    .map(({ name }) => name);
  if (found.length === 0) {
    failData(
      folder,
      'one folder of pictures for each class',
      describeFolder(entries.map(({ name }) => name)),
    );
  }
  return found;
}

async function listPictures(folder: string): Promise<string[]> {
  const expected = 'a folder with at least one .jpg, .jpeg, .png or .webp picture';
  const names = (await listFolder(folder, expected)).map(({ name }) => name);
  const pictures = names.filter((name) => !name.startsWith('.') && ENDINGS.has(extname(name).toLowerCase()));
  if (pictures.length === 0) failData(folder, expected, describeFolder(names));
  return pictures;
}

function pack(names: readonly string[]): PackedNames {
  const lengths = Uint32Array.from(names, (name) => Buffer.byteLength(name));
  return { bytes: Buffer.from(names.join('')), lengths };
}
