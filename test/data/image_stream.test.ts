import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { imageStream } from '../../ts/data';
import type { ImageStream, ImageStreamOptions } from '../../ts/data';
import * as pictureFiles from '../../ts/data/image_folder';
import { Classifier } from '../../ts/models';
import * as nn from '../../ts/nn';
import * as optim from '../../ts/optim';
import { evaluate, Trainer } from '../../ts/train';
import { Generator, memory } from '../support/library';
import { positions, writePicture } from '../support/pictures';

/** Pictures and windows of the tests: sizes that need no scaling. */
const [WIDTH, HEIGHT, SIZE] = [9, 6, 4];
const COUNT = 12;

const unscaled = { normalize: { scale: 1, shift: 0 } };
const small = { size: SIZE, resize: HEIGHT, ...unscaled };

interface Seen {
  index: number;
  label: number;
  /** The third channel: which picture it is. */
  number: number;
  /** Of the corner that came first in the file, and whether the row runs the other way. */
  left: number;
  top: number;
  mirrored: boolean;
}

/** What came, picture by picture; fails where a window is not one of the picture's. */
async function windows(stream: ImageStream): Promise<Seen[][]> {
  const batches: Seen[][] = [];
  for await (const { images, labels, indices } of stream) {
    expect(images.shape).toEqual([indices.length, SIZE, SIZE, 3]);
    const values = images.dataSync();
    const classes = labels.dataSync();
    batches.push(
      [...indices].map((index, i) => {
        const pixel = (y: number, x: number): number[] => {
          const at = ((i * SIZE + y) * SIZE + x) * 3;
          return [...values.slice(at, at + 3)];
        };
        const [first, top, number] = pixel(0, 0) as [number, number, number];
        const mirrored = (pixel(0, 1)[0] as number) < first;
        const left = mirrored ? first - SIZE + 1 : first;
        for (let y = 0; y < SIZE; ++y) {
          for (let x = 0; x < SIZE; ++x) {
            const column = mirrored ? first - x : first + x;
            expect(pixel(y, x)).toEqual([column, top + y, number]);
          }
        }
        return { index, label: classes[i] as number, number, left, top, mirrored };
      }),
    );
  }
  return batches;
}

describe('imageStream', () => {
  let folder: string;
  let pictures: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'spherenet-stream-'));
    pictures = join(folder, 'pictures');
    // Three classes of four; the number of a picture is its place in the order of names.
    for (let i = 0; i < COUNT; ++i) {
      const path = join(pictures, ['ant', 'bee', 'zebra'][Math.floor(i / 4)] as string, `${i % 4}.png`);
      await writePicture(path, WIDTH, HEIGHT, positions(WIDTH, HEIGHT, i));
    }
    await writeFile(join(pictures, 'ant/notes.txt'), 'passed over');
  });

  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  afterEach(() => {
    expect(sharp.counters()).toEqual({ queue: 0, process: 0 });
  });

  const open = (options: Partial<ImageStreamOptions> = {}): Promise<ImageStream> =>
    imageStream(pictures, { batchSize: 5, ...small, ...options });

  it('goes through classes and pictures by name, at the centre', async () => {
    const stream = await open();
    expect([stream.length, stream.size, stream.shape]).toEqual([3, COUNT, [SIZE, SIZE, 3]]);
    expect(stream.classes).toEqual(['ant', 'bee', 'zebra']);
    expect(stream.path(5)).toBe(join(pictures, 'bee/1.png'));
    const batches = await windows(stream);
    expect(batches.map((batch) => batch.length)).toEqual([5, 5, 2]);
    expect(batches.flat()).toEqual(
      Array.from({ length: COUNT }, (_, i) => {
        return { index: i, label: Math.floor(i / 4), number: i, left: 2, top: 1, mirrored: false };
      }),
    );
  });

  it('shuffles, cuts and mirrors anew each time through, by the seed', async () => {
    const passes = async (seed: number): Promise<string[]> => {
      const stream = await open({ shuffle: true, augment: {}, seed });
      return [JSON.stringify(await windows(stream)), JSON.stringify(await windows(stream))];
    };
    const first = await passes(3);
    expect(await passes(3)).toEqual(first);
    expect(new Set([...first, ...(await passes(4))]).size).toBe(4);
    const indices = (JSON.parse(first[0] as string) as Seen[][]).flat().map(({ index }) => index);
    expect(indices).not.toEqual([...Array(COUNT).keys()]);
    expect(indices.sort((a, b) => a - b)).toEqual([...Array(COUNT).keys()]);
    const resumed = await open({ shuffle: true, augment: {}, seed: 3 });
    resumed.epoch = 1;
    expect(JSON.stringify(await windows(resumed))).toBe(first[1]);
  });

  it('gives the same whatever is decoded when', async () => {
    const options = { shuffle: true, augment: {}, seed: 8 };
    const expected = await windows(await open({ ...options, decodes: 1, ahead: 0 }));
    for (const [decodes, ahead] of [
      [1, 3],
      [2, 1],
      [7, 0],
      [16, 100],
    ] as const) {
      // prettier-ignore
      expect(await windows(await open({ ...options, decodes, ahead }))).toEqual(expected);
    }
    // Nor does a picture's window depend on the size of batches.
    expect((await windows(await open({ ...options, batchSize: 1 }))).flat()).toEqual(expected.flat());
  });

  it('cuts every window, mirrored or not, as often', async () => {
    const stream = await open({ batchSize: COUNT, augment: {}, seed: 1 });
    const counts = new Map<string, number>();
    const times = 60;
    for (let i = 0; i < times; ++i) {
      for (const { left, top, mirrored } of (await windows(stream)).flat()) {
        const key = [left, top, mirrored].join();
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
    }
    const kinds = (WIDTH - SIZE + 1) * (HEIGHT - SIZE + 1) * 2;
    expect(counts.size).toBe(kinds);
    // Chi-square with 35 degrees of freedom: above 70 once in 2,700 seeds.
    const mean = (times * COUNT) / kinds;
    const chi = [...counts.values()].reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0);
    expect(chi).toBeLessThan(70);
  });

  it('cuts without mirroring and mirrors without cutting', async () => {
    const kinds = async (
      augment: ImageStreamOptions['augment'],
    ): Promise<{ places: number; ways: number }> => {
      const stream = await open({ augment, seed: 2 });
      const seen = [...(await windows(stream)), ...(await windows(stream))].flat();
      const places = new Set(seen.map(({ left, top }) => `${left},${top}`)).size;
      return { places, ways: new Set(seen.map(({ mirrored }) => mirrored)).size };
    };
    const [cut, mirrored] = [await kinds({ flip: false }), await kinds({ crop: false })];
    expect([cut.places > 6, cut.ways]).toEqual([true, 1]);
    // The centre of 9 columns is at 2, or at 3 from the other side.
    expect(mirrored).toEqual({ places: 2, ways: 2 });
  });

  it('scales the shorter side, and keeps the shape of a picture', async () => {
    const path = join(folder, 'scaled');
    const side = (at: number): number[] => [at, at, at];
    // Upright, three stripes of 20 rows each: the window at the centre of 40 × 60 is the middle one and half of the others.
    const rows = (value: number): number[] => Array.from({ length: 20 * 40 }, () => side(value)).flat();
    await writePicture(join(path, 'a/1.png'), 40, 60, [...rows(10), ...rows(100), ...rows(200)]);
    const stream = await imageStream(path, { batchSize: 1, size: 8, resize: 8, ...unscaled });
    for await (const { images } of stream) {
      const column = [...images.dataSync()].filter((_, i) => i % 24 === 0);
      // The filter overshoots a little at the edges of the stripes.
      for (const [at, value] of [
        [0, 10],
        [3, 100],
        [4, 100],
        [7, 200],
      ] as const) {
        // prettier-ignore
        expect(Math.abs((column[at] as number) - value)).toBeLessThan(6);
      }
    }
  });

  it('normalises as a loader, and makes the dtypes that are asked for', async () => {
    for await (const { images, labels } of await open({ normalize: undefined, dtype: 'float64' })) {
      expect([images.dtype, labels.dtype]).toEqual(['float64', 'int32']);
      expect(images.dataSync()[0]).toBe((2 - 127.5) / 128);
    }
    for await (const { images } of await open({ dtype: 'bfloat16' })) expect(images.dtype).toBe('bfloat16');
  });

  it('takes the classes of another folder in its order, a limit and full batches only', async () => {
    const seen = (await windows(await open({ classes: ['zebra', 'ant'], limit: 3, batchSize: 2 }))).flat();
    expect(seen.map(({ number, label }) => [number, label])).toEqual(
      [[8, 0], [9, 0], [10, 0], [0, 1], [1, 1], [2, 1]], // prettier-ignore
    );
    expect(await windows(await open({ dropLast: true }))).toHaveLength(2);
    await expect(open({ classes: ['ant', 'cow'] })).rejects.toThrow(
      `${join(pictures, 'cow')}: expected a folder with`,
    );
  });

  it('decodes no more than it may, and begins nothing after the loop is left', async () => {
    const spy = jest.spyOn(pictureFiles, 'decodePicture');
    try {
      const stream = await open({ batchSize: 2, decodes: 1, ahead: 2 });
      const before = memory().tensors;
      let served = 0;
      for await (const batch of stream) {
        served += batch.indices.length;
        expect(memory().tensors).toBe(before + 2);
        expect(spy.mock.calls.length).toBeLessThanOrEqual(served + 4);
        if (served === 4) break;
      }
      // One picture was being decoded when the loop was left; those that waited behind it never are.
      expect(spy.mock.calls.length).toBeLessThanOrEqual(5);
      expect(sharp.counters()).toEqual({ queue: 0, process: 0 });
      expect(memory().tensors).toBe(before);
      const failing = async (): Promise<void> => {
        for await (const batch of stream) throw new Error(`stop at ${batch.labels.size}`);
      };
      await expect(failing()).rejects.toThrow('stop at 2');
      expect(memory().tensors).toBe(before);
    } finally {
      spy.mockRestore();
    }
  });

  it('ends with the first bad file in order, and has handed over what came before it', async () => {
    const path = join(folder, 'bad');
    for (const i of [0, 1, 2, 3, 4, 5]) {
      await writePicture(join(path, `a/${i}.png`), WIDTH, HEIGHT, positions(WIDTH, HEIGHT, i));
    }
    for (const i of [3, 4]) await writeFile(join(path, `a/${i}.png`), 'no picture');
    for (const decodes of [1, 8]) {
      const stream = await imageStream(path, { batchSize: 2, ...small, decodes, ahead: 3 });
      let served = 0;
      const run = (async () => {
        for await (const { indices } of stream) served += indices.length;
      })();
      await expect(run).rejects.toThrow(
        `${join(path, 'a/3.png')}: expected a JPEG, PNG or WebP picture, got `,
      );
      expect(served).toBe(2);
    }
  });

  it('trains and tests a network', async () => {
    const path = join(folder, 'bright');
    for (let i = 0; i < 16; ++i) {
      const grey = (i % 2 === 0 ? 40 : 200) + i;
      const bytes = Array.from({ length: 8 * 8 * 3 }, () => grey);
      await writePicture(join(path, i % 2 === 0 ? 'dark' : 'light', `${i}.png`), 8, 8, bytes);
    }
    const options = { size: 6, resize: 8, batchSize: 4 };
    const train = await imageStream(path, { ...options, shuffle: true, seed: 1, augment: {} });
    const test = await imageStream(path, { ...options, classes: train.classes });
    const generator = new Generator(1);
    const net = new nn.Sequential(
      new nn.Conv2d(3, 4, 3, { generator }),
      new nn.ReLU(),
      new nn.GlobalAvgPool2d(),
    );
    const model = new Classifier(net, new nn.SoftmaxHead(4, 2, { generator }));
    const optimizer = new optim.Adam(model.parameters(), { lr: 0.1 });
    const history = await new Trainer({
      model,
      optimizer,
      train,
      evaluate: test,
      steps: 22,
      progress: false,
    }).run();
    expect(history.steps).toHaveLength(22);
    expect(history.epochs.at(-1)?.evalAccuracy).toBe(1);
    expect((await evaluate(model, test)).confusion).toEqual([[8, 0], [0, 8]]); // prettier-ignore
    optimizer.dispose();
    model.dispose();
  });

  it('names the folder or the option that is wrong', async () => {
    const missing = join(folder, 'nowhere');
    await expect(imageStream(missing, { batchSize: 1 })).rejects.toThrow(
      `${missing}: expected a folder with one folder of pictures for each class, got nothing there`,
    );
    const empty = join(folder, 'empty');
    await mkdir(join(empty, 'a'), { recursive: true });
    await expect(imageStream(empty, { batchSize: 1 })).rejects.toThrow(
      `${join(empty, 'a')}: expected a folder with at least one .jpg, .jpeg, .png or .webp picture, got an empty folder`,
    );
    const wrong: [Partial<ImageStreamOptions>, string][] = [
      [{ batchSize: 0 }, 'imageStream: batchSize must be a whole number of at least 1, got 0'],
      [{ resize: 3 }, 'imageStream: size must be a whole number from 1 to 3, got 4'],
      [{ decodes: 0 }, 'imageStream: decodes must be'],
      [{ ahead: -1 }, 'imageStream: ahead must be'],
      [{ augment: true as never }, 'imageStream: augment must be an object such as'],
      [{ augment: { crop: 1 as never } }, 'imageStream: augment.crop must be true or false'],
      [{ limit: 0 }, 'imageStream: limit must be'],
      [{ classes: [] }, 'imageStream: classes must be names of folders'],
    ];
    for (const [options, message] of wrong) await expect(open(options)).rejects.toThrow(message);
  });
});
