import sharp from 'sharp';
import type { ImageDataset } from '../../data/dataset';
import { imageAt } from '../../data/dataset';

/** An image of a dataset as a PNG in a data URI; grey for one channel, colour for three. */
export async function pictureUri(source: ImageDataset, index: number): Promise<string> {
  const [height, width, channels] = source.shape;
  const raw = { width, height, channels: channels as 1 | 3 };
  const png = await sharp(imageAt(source, index), { raw }).png({ compressionLevel: 9 }).toBuffer();
  return `data:image/png;base64,${png.toString('base64')}`;
}
