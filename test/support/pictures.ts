import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import sharp from 'sharp';

/** Writes raw bytes `[height, width, channels]` as a picture; the ending says which kind. */
export async function writePicture(
  path: string,
  width: number,
  height: number,
  bytes: readonly number[],
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const channels = (bytes.length / (width * height)) as 1 | 3 | 4;
  const image = sharp(Uint8Array.from(bytes), { raw: { width, height, channels } });
  if (path.endsWith('.webp')) image.webp({ lossless: true, exact: true });
  if (path.endsWith('.jpg')) image.jpeg({ quality: 100, chromaSubsampling: '4:4:4' });
  await image.toFile(path);
}

/** Bytes of a picture whose pixels say where they are: [x, y, number]. */
export function positions(width: number, height: number, number: number): number[] {
  return Array.from({ length: width * height }, (_, at) => [
    at % width,
    Math.floor(at / width),
    number,
  ]).flat();
}
