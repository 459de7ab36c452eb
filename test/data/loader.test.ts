import fc from 'fast-check';
import { dataset, loader } from '../../ts/data';
import type { ImageDataset, LoaderOptions } from '../../ts/data';
import { memory, ops, scope } from '../support/library';
import type { Tensor } from '../support/library';

const CLASSES = ['a', 'b', 'c'];

/** Images of 2 × 1 pixels that all hold their own index. */
function numbered(count: number): ImageDataset {
  return dataset({
    images: Uint8Array.from({ length: 2 * count }, (_, i) => Math.floor(i / 2)),
    labels: Int32Array.from({ length: count }, (_, i) => i % 3),
    shape: [2, 1, 1],
    classes: CLASSES,
  });
}

/** What comes out of a loader: the first pixel of each image and its label, batch by batch. */
function contents(source: Iterable<{ images: Tensor; labels: Tensor }>): [number, number][][] {
  const batches: [number, number][][] = [];
  for (const { images, labels } of source) {
    const pixels = images.dataSync();
    batches.push([...labels.dataSync()].map((label, i) => [pixels[2 * i] as number, label]));
  }
  return batches;
}

const unscaled = { normalize: { scale: 1, shift: 0 } };

describe('loader', () => {
  it('keeps the order without shuffle, and every image once', () => {
    const batches = contents(loader(numbered(7), { batchSize: 3, ...unscaled }));
    expect(batches.map((batch) => batch.length)).toEqual([3, 3, 1]);
    expect(batches.flat()).toEqual(Array.from({ length: 7 }, (_, i) => [i, i % 3]));
  });

  it('hands over each image once with its own label, whatever the sizes', () => {
    const sizes = { count: fc.integer({ min: 1, max: 60 }), batchSize: fc.integer({ min: 1, max: 70 }) };
    fc.assert(
      fc.property(fc.record({ ...sizes, shuffle: fc.boolean(), seed: fc.nat() }), (drawn) => {
        const { count, ...options } = drawn;
        const source = loader(numbered(count), { ...options, ...unscaled });
        const batches = contents(source);
        expect(batches).toHaveLength(source.length);
        expect(source.size).toBe(count);
        const all = batches.flat();
        expect(all.every(([pixel, label]) => label === pixel % 3)).toBe(true);
        expect(all.map(([pixel]) => pixel).sort((a, b) => a - b)).toEqual([...Array(count).keys()]);
      }),
      { numRuns: 40 },
    );
  });

  it('leaves out what does not fill a batch with dropLast', () => {
    const source = loader(numbered(7), { batchSize: 3, dropLast: true });
    expect([source.length, source.size]).toEqual([2, 6]);
    expect(contents(source).flat()).toHaveLength(6);
  });

  it('shuffles anew each epoch, by the seed', () => {
    const orders = (seed: number): string[] => {
      const source = loader(numbered(50), { batchSize: 50, shuffle: true, seed, ...unscaled });
      return [1, 2, 3].map(() => contents(source).flat().join());
    };
    const first = orders(5);
    expect(orders(5)).toEqual(first);
    expect(new Set([...first, ...orders(6)]).size).toBe(6);
  });

  it('goes on from a given epoch', () => {
    const options = { batchSize: 20, shuffle: true, seed: 4 };
    const whole = loader(numbered(20), options);
    contents(whole);
    const second = contents(whole);
    const resumed = loader(numbered(20), options);
    resumed.epoch = 1;
    expect(contents(resumed)).toEqual(second);
  });

  it('normalises as the authors do, or as asked', () => {
    const first = (options: Partial<LoaderOptions>): number => {
      return (
        contents(loader(numbered(10), { batchSize: 10, ...options }))
          .flat()
          .at(-1)?.[0] ?? NaN
      );
    };
    expect(first({})).toBeCloseTo((9 - 127.5) / 128, 6);
    expect(first({ normalize: { scale: 0.5, shift: 2 }, dtype: 'float64' })).toBe(6.5);
  });

  it('makes [B, H, W, C] floats and int32 labels, and says which images they are', () => {
    const source = loader(numbered(5), { batchSize: 4, dtype: 'float64' });
    for (const { images, labels, indices } of source) {
      expect([images.dtype, labels.dtype]).toEqual(['float64', 'int32']);
      expect(images.shape).toEqual([indices.length, 2, 1, 1]);
      expect(labels.shape).toEqual([indices.length]);
    }
  });

  it('frees a batch when the next is asked for, outside scopes too', () => {
    const before = memory().tensors;
    scope(() => {
      let last: { isDisposed: boolean } | null = null;
      for (const { images, labels } of loader(numbered(6), { batchSize: 2 })) {
        expect(last?.isDisposed ?? true).toBe(true);
        expect(images.isDisposed).toBe(false);
        expect(memory().tensors).toBe(before + 2);
        last = {
          get isDisposed() {
            return images.isDisposed && labels.isDisposed;
          },
        };
      }
      expect(last?.isDisposed).toBe(true);
    });
  });

  it('keeps a batch beyond the scope that asked for it', () => {
    const iterator = loader(numbered(4), { batchSize: 2 })[Symbol.iterator]();
    const { value } = scope(() => ({ value: iterator.next().value?.images.shape }));
    expect(value).toEqual([2, 2, 1, 1]);
    const batch = scope(() => iterator.next().value);
    expect(batch?.images.isDisposed).toBe(false);
    iterator.return?.();
    expect(batch?.images.isDisposed).toBe(true);
  });

  it('frees a batch when the loop is left by break or throw', async () => {
    const source = loader(numbered(6), { batchSize: 2 });
    const before = memory().tensors;
    for (const batch of source) if (batch.labels.size > 0) break;
    expect(memory().tensors).toBe(before);
    const failing = async (): Promise<void> => {
      for await (const batch of source) throw new Error(`stop at ${batch.labels.size}`);
    };
    await expect(failing()).rejects.toThrow('stop at 2');
    expect(memory().tensors).toBe(before);
  });

  it('lets results of a batch outlive it', () => {
    const sums: number[] = [];
    scope(() => {
      const results = [
        ...map(loader(numbered(4), { batchSize: 2, ...unscaled }), ({ images }) => ops.sum(images)),
      ];
      for (const result of results) sums.push(result.itemSync());
    });
    expect(sums).toEqual([2, 10]);
  });

  it('augments: moves and mirrors images anew each time through, by the seed', () => {
    const side = 6;
    const pixels = Uint8Array.from({ length: 20 * side * side }, (_, i) => 1 + (i % (side * side)));
    const source = dataset({
      images: pixels,
      labels: Int32Array.from({ length: 20 }, (_, i) => i % 3),
      shape: [side, side, 1],
      classes: CLASSES,
    });
    const options = { batchSize: 8, seed: 9, augment: { padding: 1 }, ...unscaled };
    const collect = (of: Iterable<{ images: Tensor }>): string[] => {
      const found: string[] = [];
      for (const { images } of of) {
        const values = images.dataSync();
        for (let at = 0; at < values.length; at += side * side) {
          found.push(values.subarray(at, at + side * side).join());
        }
      }
      return found;
    };
    const batches = loader(source, options);
    const [first, second] = [collect(batches), collect(batches)];
    expect(first).not.toEqual(second);
    expect(collect(loader(source, options))).toEqual(first);
    // 9 places, mirrored or not: 40 images show more than a few of them, all alike but for that.
    const kinds = new Set([...first, ...second]);
    expect(kinds.size).toBeGreaterThan(10);
    expect(kinds.size).toBeLessThanOrEqual(18);
    const still = { ...options, augment: { padding: 0, flip: false } };
    expect(new Set(collect(loader(source, still)))).toEqual(new Set([pixels.slice(0, side * side).join()]));
  });

  it('augments without a change of the order', () => {
    const options = { batchSize: 5, shuffle: true, seed: 2 };
    const indices = (augment?: LoaderOptions['augment']): number[][] => {
      const found: number[][] = [];
      for (const batch of loader(numbered(12), { ...options, augment })) found.push([...batch.indices]);
      return found;
    };
    expect(indices({ padding: 1 })).toEqual(indices());
  });

  it.each([
    [{ batchSize: 0 }, 'loader: batchSize must be a whole number of at least 1, got 0'],
    [{ batchSize: 2.5 }, 'loader: batchSize must be a whole number of at least 1, got 2.5'],
    [{ batchSize: 9, dropLast: true }, 'loader: batchSize must be at most 4'],
    [{ batchSize: 1, seed: -1 }, 'loader: seed must be'],
    [
      { batchSize: 1, normalize: { scale: NaN, shift: 0 } },
      'loader: normalize.scale must be a finite number',
    ],
    [
      { batchSize: 1, dtype: 'uint8' as never },
      'loader: dtype must be bfloat16, float16, float32 or float64',
    ],
    [{ batchSize: 1, augment: true as never }, 'loader: augment must be an object such as'],
    [
      { batchSize: 1, augment: { padding: -1 } },
      'loader: augment.padding must be a whole number of at least 0',
    ],
    [{ batchSize: 1, augment: { flip: 1 as never } }, 'loader: augment.flip must be true or false'],
  ])('refuses %j', (options, message) => {
    expect(() => loader(numbered(4), options)).toThrow(message);
  });

  it('refuses an empty dataset', () => {
    expect(() => loader(numbered(0), { batchSize: 1 })).toThrow(
      'loader: dataset must be at least one image, got none',
    );
  });
});

describe('dataset', () => {
  const parts = {
    images: new Uint8Array(8),
    labels: Int32Array.of(0, 2),
    shape: [2, 2, 1] as const,
    classes: CLASSES,
  };

  it.each([
    [{ images: new Uint8Array(7) }, 'dataset: images must be 8 bytes for 2 labels, got 7 bytes'],
    [{ labels: Int32Array.of(0, 3) }, 'dataset: labels must be from 0 to 2, got 3 at index 1'],
    [{ labels: Int32Array.of(-1, 0) }, 'dataset: labels must be from 0 to 2, got -1 at index 0'],
    [{ shape: [4, 1, 0] as const }, 'dataset: shape must be [height, width, channels]'],
  ])('refuses parts that do not fit: %j', (wrong, message) => {
    expect(() => dataset({ ...parts, ...wrong })).toThrow(message);
  });
});

function* map<A, B>(source: Iterable<A>, change: (value: A) => B): Generator<B> {
  for (const value of source) yield change(value);
}
