import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { imageAt, imageFolder } from '../../ts/data';
import { writePicture } from '../support/pictures';

type Rgb = readonly [number, number, number];

describe('imageFolder', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'spherenet-images-'));
  });

  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  const picture = (path: string, width: number, height: number, bytes: readonly number[]): Promise<void> =>
    writePicture(join(folder, path), width, height, bytes);

  const filled = (width: number, height: number, color: Rgb): number[] =>
    Array.from({ length: width * height }, () => [...color]).flat();

  it('reads classes and pictures by name, rows first, channels innermost', async () => {
    const pixels = Array.from({ length: 3 * 2 * 3 }, (_, i) => 10 * i);
    await picture('zebra/1.png', 3, 2, pixels);
    await picture('ant/2.webp', 3, 2, filled(3, 2, [1, 2, 3]));
    await picture('ant/10.png', 3, 2, filled(3, 2, [4, 5, 6]));
    await writeFile(join(folder, 'ant/notes.txt'), 'passed over');
    await writeFile(join(folder, 'readme.md'), 'passed over');
    const { images, labels, shape, classes, length } = await imageFolder(folder);
    expect({ classes, shape, length, labels: [...labels] }).toEqual({
      classes: ['ant', 'zebra'],
      shape: [2, 3, 3],
      length: 3,
      labels: [0, 0, 1],
    });
    // "10.png" comes before "2.webp": by code units, as on every machine.
    expect([...images]).toEqual([...filled(3, 2, [4, 5, 6]), ...filled(3, 2, [1, 2, 3]), ...pixels]);
  });

  it('makes grey pictures three channels and drops transparency', async () => {
    await picture('a/grey.png', 2, 1, [7, 200]);
    await picture('a/see-through.png', 2, 1, [1, 2, 3, 0, 4, 5, 6, 255]);
    await picture('a/z.jpg', 2, 1, filled(2, 1, [90, 90, 90]));
    const source = await imageFolder(folder);
    expect([...imageAt(source, 0)]).toEqual([7, 7, 7, 200, 200, 200]);
    expect([...imageAt(source, 1)]).toEqual([1, 2, 3, 4, 5, 6]);
    expect([...imageAt(source, 2)]).toEqual([90, 90, 90, 90, 90, 90]);
  });

  it('scales to size by the shorter side and cuts at the centre', async () => {
    const row = [...filled(2, 1, [255, 0, 0]), ...filled(4, 1, [0, 255, 0]), ...filled(2, 1, [0, 0, 255])];
    await picture('a/wide.png', 8, 4, [...row, ...row, ...row, ...row]);
    await picture('a/small.png', 2, 2, filled(2, 2, [9, 9, 9]));
    const source = await imageFolder(folder, { size: 4 });
    expect(source.shape).toEqual([4, 4, 3]);
    expect([...imageAt(source, 0)]).toEqual(filled(4, 4, [9, 9, 9]));
    expect([...imageAt(source, 1)]).toEqual(filled(4, 4, [0, 255, 0]));
  });

  it('takes the classes that are asked for, in that order, and the first pictures of each', async () => {
    for (const name of ['a', 'b', 'c']) {
      for (const i of [1, 2, 3]) await picture(`${name}/${i}.png`, 1, 1, [i, i, i]);
    }
    const { labels, images, classes } = await imageFolder(folder, { classes: ['c', 'a'], limit: 2 });
    expect(classes).toEqual(['c', 'a']);
    expect([...labels]).toEqual([0, 0, 1, 1]);
    expect([...images].filter((_, i) => i % 3 === 0)).toEqual([1, 2, 1, 2]);
  });

  it('names what is missing or wrong', async () => {
    const missing = join(folder, 'nowhere');
    await expect(imageFolder(missing)).rejects.toThrow(
      `${missing}: expected a folder with one folder of pictures for each class, got nothing there`,
    );
    await expect(imageFolder(folder)).rejects.toThrow('each class, got an empty folder');
    await picture('full/1.png', 2, 1, filled(2, 1, [0, 0, 0]));
    await mkdir(join(folder, 'empty'));
    await expect(imageFolder(folder)).rejects.toThrow(
      `${join(folder, 'empty')}: expected a folder with at least one .jpg, .jpeg, .png or .webp picture, got an empty folder`,
    );
    await expect(imageFolder(folder, { classes: ['full', 'gone'] })).rejects.toThrow(
      `${join(folder, 'gone')}: expected a folder with`,
    );
    const only = { classes: ['full'] };
    await expect(imageFolder(folder, { ...only, size: 0 })).rejects.toThrow(
      'imageFolder: size must be a whole number from 1 to 16384, got 0',
    );
    await expect(imageFolder(folder, { ...only, limit: 0.5 })).rejects.toThrow('imageFolder: limit must be');
    await expect(imageFolder(folder, { classes: [] })).rejects.toThrow('imageFolder: classes must be names');
  });

  it('names the file that is no picture, is cut off, or has another size', async () => {
    await picture('a/1.png', 2, 1, filled(2, 1, [0, 0, 0]));
    await picture('a/2.png', 1, 2, filled(2, 1, [0, 0, 0]));
    await expect(imageFolder(folder)).rejects.toThrow(
      `${join(folder, 'a/2.png')}: expected 2 × 1 pixels, as the first picture has (option size makes all alike), got 1 × 2`,
    );
    await writeFile(join(folder, 'a/2.png'), 'no picture');
    await expect(imageFolder(folder)).rejects.toThrow(
      `${join(folder, 'a/2.png')}: expected a JPEG, PNG or WebP picture, got `,
    );
    const whole = await sharp(Uint8Array.from(filled(64, 64, [9, 80, 7])), {
      raw: { width: 64, height: 64, channels: 3 },
    })
      .jpeg()
      .toBuffer();
    await writeFile(join(folder, 'a/2.png'), whole.subarray(0, whole.length - 40));
    await expect(imageFolder(folder, { size: 2 })).rejects.toThrow(`${join(folder, 'a/2.png')}: expected`);
  });
});
