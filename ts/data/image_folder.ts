import { availableParallelism } from 'node:os';
import type sharp from 'sharp';
import type { Sharp } from 'sharp';
import { checkInteger } from '../core/errors';
import { listImages } from './class_folders';
import type { ListOptions } from './class_folders';
import { dataset, imageSize } from './dataset';
import type { ImageDataset } from './dataset';
import { failData } from './files';

export interface ImageFolderOptions extends ListOptions {
  /**
   * Makes every picture `size` × `size` pixels: scaled until its shorter side fits, then cut at the centre. By default
   * pictures stay as they are, and all must have one size.
   */
  size?: number | undefined;
}

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
  const files = await listImages('imageFolder', folder, options);
  const first = await decode(files.path(0), size);
  const shape = [first.info.height, first.info.width, 3] as const;
  const bytes = imageSize(shape);
  if (files.length * bytes > MAX_BYTES) {
    failData(
      folder,
      `at most ${MAX_BYTES} bytes of pictures, decoded`,
      `${files.length} of ${bytes}; see limit and size`,
    );
  }
  const images = new Uint8Array(files.length * bytes);
  await inParallel(files.length, async (i) => {
    const path = files.path(i);
    const { data, info } = i === 0 ? first : await decode(path, size);
    if (info.height !== shape[0] || info.width !== shape[1]) {
      const expected = `${shape[1]} × ${shape[0]} pixels, as the first picture has (option size makes all alike)`;
      failData(path, expected, `${info.width} × ${info.height}`);
    }
    images.set(data, i * bytes);
  });
  return dataset({ images, labels: files.labels, shape, classes: files.classes });
}

async function decode(path: string, size: number | undefined): Promise<DecodedPicture> {
  const cover = { fit: 'cover', position: 'centre' } as const;
  return decodePicture(path, (picture) => (size === undefined ? picture : picture.resize(size, size, cover)));
}

/** Not loaded before a picture is: it would take more than a third of the time of `import 'spherenet'`. */
function pictureLibrary(): typeof sharp {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- import() is none that Jest runs
  return require('sharp') as typeof sharp;
}

/** Red, green and blue bytes `[height, width, 3]`. */
export interface DecodedPicture {
  data: Buffer;
  info: { width: number; height: number };
}

/** Reads a picture, upright, and changes it; an error names the file. */
export async function decodePicture(
  path: string,
  change: (picture: Sharp) => Sharp,
): Promise<DecodedPicture> {
  const open = pictureLibrary();
  try {
    // A file that ends early is an error, not a picture whose lower part is grey.
    const picture = change(open(path, { failOn: 'truncated' }).autoOrient());
    return await picture
      .removeAlpha()
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
  } catch (error) {
    failData(
      path,
      'a JPEG, PNG or WebP picture',
      error instanceof Error ? error.message : String(error),
      error,
    );
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
