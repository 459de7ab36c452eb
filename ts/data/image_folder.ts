import { availableParallelism } from 'node:os';
import { extname, join } from 'node:path';
import sharp from 'sharp';
import { checkInteger, describe, fail } from '../core/errors';
import { dataset, imageSize } from './dataset';
import type { ImageDataset } from './dataset';
import { describeFolder, failData, listFolder } from './files';

export interface ImageFolderOptions {
  /**
   * Makes every picture `size` × `size` pixels: scaled until its shorter side fits, then cut at the centre. By default
   * pictures stay as they are, and all must have one size.
   */
  size?: number | undefined;
  /** Which classes, in which order; by default every folder within, by name. */
  classes?: readonly string[] | undefined;
  /** At most this many pictures of each class, the first by name; all by default. */
  limit?: number | undefined;
}

/** A picture on the disk and what it shows. */
export interface LabelledFile {
  readonly path: string;
  readonly label: number;
}

const ENDINGS: ReadonlySet<string> = new Set(['.jpg', '.jpeg', '.png', '.webp']);
/** More than this stays in no process, whatever the machine. */
const MAX_BYTES = 2 ** 33;

/**
 * Reads `<folder>/<class>/*.jpg` (also .jpeg, .png, .webp) into host memory as red, green and blue bytes. Pictures are
 * decoded in parallel; grey ones become three equal channels, transparency is dropped, the orientation that a camera
 * noted is followed. Other files and names that begin with a dot are passed over.
 *
 * ```ts
 * const train = await data.imageFolder('flowers/train', { size: 64 });
 * ```
 *
 * @returns the pictures, class after class
 * @throws SphereNetError (SPHERENET_DATA) naming the folder that is missing or empty, the file that is no picture, or
 *   the first whose size differs where `size` is left out
 */
export async function imageFolder(folder: string, options: ImageFolderOptions = {}): Promise<ImageDataset> {
  const { size } = options;
  if (size !== undefined) checkInteger('imageFolder', 'size', size, 1, 16_384);
  const { classes, files } = await listImages(folder, options);
  const first = await decode((files[0] as LabelledFile).path, size);
  const shape = [first.info.height, first.info.width, 3] as const;
  const bytes = imageSize(shape);
  if (files.length * bytes > MAX_BYTES) {
    failData(folder, `at most ${MAX_BYTES} bytes of pictures, decoded`, `${files.length} of ${bytes}; see limit and size`);
  }
  const images = new Uint8Array(files.length * bytes);
  await inParallel(files.length, async (i) => {
    const { path } = files[i] as LabelledFile;
    const { data, info } = i === 0 ? first : await decode(path, size);
    if (info.height !== shape[0] || info.width !== shape[1]) {
      const expected = `${shape[1]} × ${shape[0]} pixels, as the first picture has (option size makes all alike)`;
      failData(path, expected, `${info.width} × ${info.height}`);
    }
    images.set(data, i * bytes);
  });
  return dataset({ images, labels: Int32Array.from(files, ({ label }) => label), shape, classes });
}

/** The classes of an image folder and its files, class after class; each class has one at least. */
export async function listImages(
  folder: string,
  { classes, limit }: Pick<ImageFolderOptions, 'classes' | 'limit'> = {},
): Promise<{ classes: readonly string[]; files: LabelledFile[] }> {
  if (limit !== undefined) checkInteger('imageFolder', 'limit', limit, 1);
  const isNames = Array.isArray(classes) && classes.length > 0 && classes.every((name) => typeof name === 'string');
  if (classes !== undefined && !isNames) fail('imageFolder', 'classes', 'names of folders', describe(classes));
  const entries = await listFolder(folder, 'a folder with one folder of pictures for each class');
  const found = entries.filter((entry) => !entry.name.startsWith('.') && !entry.isFile()).map(({ name }) => name);
  if (found.length === 0) {
    failData(folder, 'one folder of pictures for each class', describeFolder(entries.map(({ name }) => name)));
  }
  const names = classes ?? found;
  const perClass = await Promise.all(names.map((name) => listClass(join(folder, name))));
  const files = perClass.flatMap((paths, label) => paths.slice(0, limit).map((path) => ({ path, label })));
  return { classes: names, files };
}

async function listClass(folder: string): Promise<string[]> {
  const expected = 'a folder with at least one .jpg, .jpeg, .png or .webp picture';
  const entries = await listFolder(folder, expected);
  const names = entries.map(({ name }) => name);
  const pictures = names.filter((name) => !name.startsWith('.') && ENDINGS.has(extname(name).toLowerCase()));
  if (pictures.length === 0) failData(folder, expected, describeFolder(names));
  return pictures.map((name) => join(folder, name));
}

/** A picture as bytes `[height, width, 3]`. */
export async function decode(
  path: string,
  size: number | undefined,
): Promise<{ data: Buffer; info: { width: number; height: number } }> {
  try {
    // A file that ends early is an error, not a picture whose lower part is grey.
    let picture = sharp(path, { failOn: 'truncated' }).autoOrient();
    if (size !== undefined) picture = picture.resize(size, size, { fit: 'cover', position: 'centre' });
    return await picture.removeAlpha().toColourspace('srgb').raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  } catch (error) {
    failData(path, 'a JPEG, PNG or WebP picture', error instanceof Error ? error.message : String(error), error);
  }
}

/** Runs `task` for 0 … count − 1, as many at once as there are processors; the first failure ends it. */
async function inParallel(count: number, task: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  let failed = false;
  const worker = async (): Promise<void> => {
    while (next < count && !failed) {
      try {
        await task(next++);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, 2 * availableParallelism()) }, worker));
}
