import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { parseIdx, readIdx } from '../../ts/data';

/** An IDX file of `values`. */
export function idxBytes(dims: readonly number[], values: readonly number[], type = 0x08): Uint8Array {
  const header = dims.flatMap((size) => [size >>> 24, (size >>> 16) & 255, (size >>> 8) & 255, size & 255]);
  return Uint8Array.from([0, 0, type, dims.length, ...header, ...values]);
}

describe('parseIdx', () => {
  it('reads dimensions and values', () => {
    const { dims, values } = parseIdx('a', idxBytes([2, 1, 3], [1, 2, 3, 4, 5, 255]), 3);
    expect(dims).toEqual([2, 1, 3]);
    expect([...values]).toEqual([1, 2, 3, 4, 5, 255]);
  });

  it('reads bytes that are a part of a larger buffer', () => {
    const padded = Uint8Array.from([9, 9, 9, ...idxBytes([300], new Array(300).fill(7))]).subarray(3);
    expect(parseIdx('a', padded, 1).dims).toEqual([300]);
  });

  const png = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0, 0]);
  it.each([
    ['a foreign file', png, 'a file that starts with the bytes 89 50 4e 47'],
    ['an empty file', new Uint8Array(0), 'an empty file'],
    ['floats', idxBytes([1, 1, 1], [0, 0, 0, 0], 0x0d), 'one of 32-bit floats with 3 dimensions'],
    ['labels in the place of images', idxBytes([4], [1, 2, 3, 4]), 'one of unsigned bytes with 1 dimension'],
  ])('refuses %s', (_, bytes, got) => {
    expect(() => parseIdx('train-images', bytes, 3)).toThrow(
      `train-images: expected an IDX file of unsigned bytes with 3 dimensions, got ${got}`,
    );
  });

  it('refuses a file that is cut off, in its header or its data, or goes on', () => {
    const whole = idxBytes([2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8]);
    expect(() => parseIdx('a', whole.subarray(0, 10), 3)).toThrow('a: expected a header of 16 bytes, got 10');
    expect(() => parseIdx('a', whole.subarray(0, 21), 3)).toThrow(
      'a: expected 8 bytes of data (2 × 2 × 2), got 5',
    );
    expect(() => parseIdx('a', Uint8Array.from([...whole, 0]), 3)).toThrow(
      'a: expected 8 bytes of data (2 × 2 × 2), got 9',
    );
  });

  it('refuses dimensions that hold nothing, or more than any file', () => {
    expect(() => parseIdx('a', idxBytes([0, 28, 28], []), 3)).toThrow('expected at least 1 element');
    const huge = idxBytes([0xffffffff, 0xffffffff, 0xffffffff], [1]);
    expect(() => parseIdx('a', huge, 3)).toThrow(/expected [\d.e+]+ bytes of data/);
  });
});

describe('readIdx', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'spherenet-idx-'));
  });

  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  it('recognises gzip by its content', async () => {
    const bytes = idxBytes([3], [5, 6, 7]);
    await writeFile(join(folder, 'plain.gz'), bytes);
    await writeFile(join(folder, 'packed'), gzipSync(bytes));
    for (const name of ['plain.gz', 'packed']) {
      const { values } = await readIdx(join(folder, name), 1);
      expect([...values]).toEqual([5, 6, 7]);
    }
  });

  it('recognises Brotli by the name', async () => {
    await writeFile(join(folder, 'packed.br'), brotliCompressSync(idxBytes([3], [5, 6, 7])));
    expect([...(await readIdx(join(folder, 'packed.br'), 1)).values]).toEqual([5, 6, 7]);
  });

  const content = idxBytes(
    [1000],
    new Array(1000).fill(0).map((_, i) => (i * 37) % 251),
  );

  it('names a gzip file that is cut off, and one that is damaged', async () => {
    const packed = gzipSync(content);
    await writeFile(join(folder, 'short.gz'), packed.subarray(0, 60));
    await expect(readIdx(join(folder, 'short.gz'), 1)).rejects.toThrow(
      'short.gz: expected a complete gzip file, got one that ends early, after 60 bytes',
    );
    packed[packed.length - 6]! ^= 0xff;
    await writeFile(join(folder, 'bad.gz'), packed);
    await expect(readIdx(join(folder, 'bad.gz'), 1)).rejects.toThrow(
      /bad\.gz: expected a complete gzip file, got a damaged one \(.+\)/,
    );
  });

  it('names a Brotli file that is cut off, and one that is damaged', async () => {
    await writeFile(join(folder, 'short.br'), brotliCompressSync(content).subarray(0, 60));
    await expect(readIdx(join(folder, 'short.br'), 1)).rejects.toThrow(
      'short.br: expected a complete brotli file, got one that ends early, after 60 bytes',
    );
    await writeFile(join(folder, 'bad.br'), content);
    await expect(readIdx(join(folder, 'bad.br'), 1)).rejects.toThrow(
      /bad\.br: expected a complete brotli file, got a damaged one \(.+\)/,
    );
  });

  it('says where nothing is, with the code of data errors', async () => {
    await expect(readIdx(join(folder, 'nothing'), 1)).rejects.toMatchObject({
      code: 'SPHERENET_DATA',
      message: expect.stringContaining('expected a readable file, got none there') as string,
    });
  });
});
