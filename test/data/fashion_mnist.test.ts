import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, brotliDecompressSync, gzipSync } from 'node:zlib';
import { countByClass, fashionMnist } from '../../ts/data';
import { FASHION_MNIST_SUBSET } from '../../ts/data/fashion_mnist';

describe('the part of Fashion-MNIST that comes with the package', () => {
  it('has the same number of images of each class', async () => {
    const { train, test } = await fashionMnist();
    expect(train.length).toBe(10_000);
    expect(test.length).toBe(2_500);
    expect(countByClass(train)).toEqual(new Array(10).fill(1_000));
    expect(countByClass(test)).toEqual(new Array(10).fill(250));
    expect(train.shape).toEqual([28, 28, 1]);
    expect(train.images).toHaveLength(10_000 * 784);
  });

  it('begins with the images of the full set', async () => {
    const { train, test } = await fashionMnist();
    expect([...train.labels.slice(0, 10)]).toEqual([9, 0, 0, 3, 0, 2, 7, 2, 5, 5]);
    expect([...test.labels.slice(0, 10)]).toEqual([9, 2, 1, 1, 6, 1, 4, 6, 5, 7]);
  });

  it('shares no image between its parts', async () => {
    const { train, test } = await fashionMnist();
    const keys = (images: Uint8Array): string[] =>
      Array.from({ length: images.length / 784 }, (_, i) =>
        Buffer.from(images.subarray(784 * i, 784 * (i + 1))).toString('latin1'),
      );
    const seen = new Set(keys(train.images));
    expect(keys(test.images).filter((image) => seen.has(image))).toHaveLength(0);
  });

  const names = readdirSync(FASHION_MNIST_SUBSET);

  it.each(names.filter((name) => name.endsWith('.br')))('holds in %s what its README says', async (name) => {
    const bytes = brotliDecompressSync(await readFile(join(FASHION_MNIST_SUBSET, name)));
    const sum = createHash('sha256').update(bytes).digest('hex');
    const readme = readFileSync(join(FASHION_MNIST_SUBSET, 'README.md'), 'utf8');
    expect(readme).toContain(`| \`${name.replace('.br', '')}\` | \`${sum}\` |`);
  });

  it('is smaller than 5 MB and comes with its licence', async () => {
    const sizes = await Promise.all(names.map((name) => stat(join(FASHION_MNIST_SUBSET, name))));
    expect(sizes.reduce((sum, { size }) => sum + size, 0)).toBeLessThan(5_000_000);
    expect(names).toContain('LICENSE');
  });
});

describe('fashionMnist with a folder', () => {
  let folder: string;
  const image = (count: number, side = 2): Uint8Array =>
    Uint8Array.from([
      0,
      0,
      8,
      3,
      0,
      0,
      0,
      count,
      0,
      0,
      0,
      side,
      0,
      0,
      0,
      side,
      ...Array<number>(count * side * side).fill(1),
    ]);
  const labels = (...values: number[]): Uint8Array =>
    Uint8Array.from([0, 0, 8, 1, 0, 0, 0, values.length, ...values]);

  async function fill(files: Readonly<Record<string, Uint8Array>>): Promise<void> {
    const whole = {
      'train-images-idx3-ubyte': image(3),
      'train-labels-idx1-ubyte': labels(0, 9, 4),
      't10k-images-idx3-ubyte.gz': gzipSync(image(2)),
      't10k-labels-idx1-ubyte': labels(1, 2),
      ...files,
    };
    for (const [name, bytes] of Object.entries(whole)) {
      if (bytes.length > 0) await writeFile(join(folder, name), bytes);
    }
  }

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'spherenet-data-'));
  });

  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  it('loads plain and compressed files', async () => {
    await fill({
      'train-images-idx3-ubyte': new Uint8Array(0),
      'train-images-idx3-ubyte.br': brotliCompressSync(image(3)),
    });
    const { train, test } = await fashionMnist(folder);
    expect([...train.labels]).toEqual([0, 9, 4]);
    expect(test.shape).toEqual([2, 2, 1]);
  });

  it.each([
    [
      'a missing file',
      { 't10k-labels-idx1-ubyte': new Uint8Array(0) },
      /expected a file t10k-labels-idx1-ubyte, plain, \.gz or \.br, got a folder with /,
    ],
    [
      'too few labels',
      { 'train-labels-idx1-ubyte': labels(0, 1) },
      'train-labels-idx1-ubyte: expected 3 labels, as train-images-idx3-ubyte has images, got 2',
    ],
    [
      'a label that is no class',
      { 't10k-labels-idx1-ubyte': labels(1, 10) },
      't10k-labels-idx1-ubyte: expected labels from 0 to 9, got 10 at index 1',
    ],
    [
      'images of two sizes',
      { 't10k-images-idx3-ubyte.gz': gzipSync(image(2, 3)) },
      'expected test images of 2 × 2 pixels, as those for training, got 3 × 3',
    ],
    [
      'swapped files',
      { 'train-images-idx3-ubyte': labels(1, 2, 3) },
      'train-images-idx3-ubyte: expected an IDX file of unsigned bytes with 3 dimensions',
    ],
  ])('names %s', async (_, files, message) => {
    await fill(files);
    await expect(fashionMnist(folder)).rejects.toThrow(message);
  });

  it('says when there is no such folder, or a file', async () => {
    await expect(fashionMnist(join(folder, 'none'))).rejects.toThrow(
      'none: expected a folder with the four IDX files of Fashion-MNIST, got nothing there',
    );
    await writeFile(join(folder, 'file'), 'x');
    await expect(fashionMnist(join(folder, 'file'))).rejects.toThrow('got a file');
    await rm(join(folder, 'file'));
    await expect(fashionMnist(folder)).rejects.toThrow('got an empty folder');
  });
});
