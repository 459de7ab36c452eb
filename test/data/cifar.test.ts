import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { CIFAR10_CLASSES, cifar10, cifar100, countByClass, firstOfEachClass, imageAt } from '../../ts/data';

const PIXELS = 1024;

/** A record of the binary format whose red, green and blue planes count from different numbers. */
function record(labels: readonly number[], start: number): number[] {
  const plane = (channel: number): number[] =>
    Array.from({ length: PIXELS }, (_, i) => (start + 50 * channel + i) % 256);
  return [...labels, ...plane(0), ...plane(1), ...plane(2)];
}

describe('CIFAR', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'spherenet-cifar-'));
  });

  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  const write = async (name: string, bytes: readonly number[]): Promise<void> =>
    writeFile(join(folder, name), Uint8Array.from(bytes));

  async function writeCifar10(): Promise<void> {
    for (const number of [1, 2, 3, 4, 5]) {
      await write(`data_batch_${number}.bin`, [...record([number], number), ...record([0], 100 + number)]);
    }
    await write('test_batch.bin', record([9], 7));
  }

  it('reads the binary files of CIFAR-10 in their order, pixels interleaved', async () => {
    await writeCifar10();
    const { train, test } = await cifar10(folder);
    expect([...train.labels]).toEqual([1, 0, 2, 0, 3, 0, 4, 0, 5, 0]);
    expect([...test.labels]).toEqual([9]);
    expect(train).toMatchObject({ shape: [32, 32, 3], classes: CIFAR10_CLASSES });
    expect(train.note).toBe('CIFAR-10, the official binary files');
    const image = imageAt(train, 2);
    expect([...image.subarray(0, 6)]).toEqual([2, 52, 102, 3, 53, 103]);
    expect([...image.subarray(-3)]).toEqual([2, 52, 102].map((value) => (value + 1023) % 256));
  });

  it('finds them in the folder that the archive unpacks to, and takes some of each class', async () => {
    const outer = folder;
    folder = join(outer, 'cifar-10-batches-bin');
    await mkdir(folder);
    await writeCifar10();
    folder = outer;
    const { train } = await cifar10(folder, { trainPerClass: 2 });
    expect([...train.labels]).toEqual([1, 0, 2, 0, 3, 4, 5]);
    expect(train.note).toBe('CIFAR-10, the official binary files');
  });

  it('reads class folders of JPEGs and says that they are a lossy copy', async () => {
    for (const part of ['train', 'test']) {
      for (const [label, name] of CIFAR10_CLASSES.entries()) {
        await mkdir(join(folder, part, name), { recursive: true });
        const raw = { width: 32, height: 32, channels: 3 as const };
        const grey = new Uint8Array(3 * PIXELS).fill(20 * label);
        await sharp(grey, { raw })
          .jpeg()
          .toFile(join(folder, part, name, '0000.jpg'));
      }
    }
    const { train, test } = await cifar10(folder, { trainPerClass: 5, testPerClass: 1 });
    expect([...train.labels]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(imageAt(test, 3)[0]).toBe(60);
    expect(train.note).toBe('CIFAR-10 from JPEG files, a lossy copy of the data set');
    const raw = { width: 8, height: 8, channels: 3 as const };
    for (const name of CIFAR10_CLASSES) {
      await sharp(new Uint8Array(192), { raw })
        .jpeg()
        .toFile(join(folder, 'test', name, '0000.jpg'));
    }
    await expect(cifar10(folder)).rejects.toThrow('test: expected pictures of 32 × 32 pixels, got 8 × 8');
  });

  it('reads CIFAR-100 with its fine or its coarse labels', async () => {
    await write('train.bin', [...record([3, 42], 1), ...record([19, 99], 2)]);
    await write('test.bin', record([0, 7], 3));
    const lines = (count: number): string => Array.from({ length: count }, (_, i) => `name ${i}\n`).join('');
    await writeFile(join(folder, 'fine_label_names.txt'), `${lines(100)}\n`);
    await writeFile(join(folder, 'coarse_label_names.txt'), lines(20));
    const { train, test } = await cifar100(folder);
    expect([...train.labels, ...test.labels]).toEqual([42, 99, 7]);
    expect(train.classes[42]).toBe('name 42');
    expect([...imageAt(train, 1).subarray(0, 3)]).toEqual([2, 52, 102]);
    const coarse = await cifar100(folder, { labels: 'coarse' });
    expect([...coarse.train.labels]).toEqual([3, 19]);
    expect(coarse.train.classes).toHaveLength(20);
    await writeFile(join(folder, 'fine_label_names.txt'), lines(99));
    await expect(cifar100(folder)).rejects.toThrow(
      'fine_label_names.txt: expected 100 names, one on each line, got 99',
    );
  });

  it('names the file that is missing, cut off or foreign', async () => {
    await expect(cifar10(join(folder, 'nowhere'))).rejects.toThrow(
      /nowhere: expected a folder with .* got nothing/,
    );
    await expect(cifar10(folder)).rejects.toThrow('got an empty folder');
    await expect(cifar100(folder)).rejects.toThrow('expected a folder with train.bin, test.bin');
    await writeCifar10();
    await write('data_batch_3.bin', record([3], 0).slice(1));
    await expect(cifar10(folder)).rejects.toThrow(
      'data_batch_3.bin: expected records of 3073 bytes, got 3072 bytes',
    );
    await write('data_batch_3.bin', record([10], 0));
    await expect(cifar10(folder)).rejects.toThrow(
      'data_batch_3.bin: expected labels from 0 to 9, got 10 at image 0',
    );
    await rm(join(folder, 'data_batch_3.bin'));
    await expect(cifar10(folder)).rejects.toThrow(
      'data_batch_3.bin: expected a readable file, got none there',
    );
    await expect(cifar10(folder, { trainPerClass: 0 })).rejects.toThrow('cifar10: trainPerClass must be');
    await expect(cifar100(folder, { labels: 'rough' as never })).rejects.toThrow('cifar100: labels must be');
  });
});

describe('firstOfEachClass', () => {
  it('keeps the order of the source and takes what there is', () => {
    const source = {
      images: Uint8Array.from([10, 11, 12, 13, 14, 15]),
      labels: Int32Array.from([1, 0, 1, 1, 0, 2]),
      shape: [1, 1, 1] as const,
      classes: ['a', 'b', 'c'],
      length: 6,
      note: 'kept',
    };
    const few = firstOfEachClass(source, 2);
    expect([...few.images]).toEqual([10, 11, 12, 14, 15]);
    expect(countByClass(few)).toEqual([2, 2, 1]);
    expect(few.note).toBe('kept');
    expect(() => firstOfEachClass(source, 0)).toThrow('firstOfEachClass: count must be a whole number');
  });
});
