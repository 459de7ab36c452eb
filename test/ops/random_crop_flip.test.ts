import fc from 'fast-check';
import { seeds, settings } from '../support/arbitraries';
import { inScope } from '../support/in_scope';
import { Generator, ops, random, scope, tensor } from '../support/library';
import type { DType } from '../support/library';
import { Numbers, product } from '../support/numbers';

type Four = readonly [number, number, number, number];

const MASK = 0xffffffffn;

/** The words of Philox4x32-10 (Salmon et al. 2011) for counter (block, 0, 0, 0), in exact arithmetic. */
function philox(seed: number, block: number): number[] {
  let [a, b, c, d] = [BigInt(block), 0n, 0n, 0n];
  let [key0, key1] = [BigInt(seed) & MASK, BigInt(seed) >> 32n];
  for (let round = 0; round < 10; ++round) {
    const [p, q] = [0xd2511f53n * a, 0xcd9e8d57n * c];
    [a, b, c, d] = [(q >> 32n) ^ b ^ key0, q & MASK, (p >> 32n) ^ d ^ key1, p & MASK];
    [key0, key1] = [(key0 + 0x9e3779b9n) & MASK, (key1 + 0xbb67ae85n) & MASK];
  }
  return [a, b, c, d].map(Number);
}

/** As native/ops.h defines it. */
function reference(
  x: ArrayLike<number>,
  [n, h, w, c]: Four,
  [height, width]: readonly [number, number],
  padding: number,
  flip: boolean,
  seed: number,
): number[] {
  const y: number[] = [];
  for (let i = 0; i < n; ++i) {
    const [up, across, side] = philox(seed, i) as [number, number, number, number];
    const top = Math.floor((up * (h + 2 * padding - height + 1)) / 2 ** 32) - padding;
    const left = Math.floor((across * (w + 2 * padding - width + 1)) / 2 ** 32) - padding;
    for (let row = top; row < top + height; ++row) {
      for (let at = 0; at < width; ++at) {
        const column = left + (flip && side >= 2 ** 31 ? width - 1 - at : at);
        const inside = row >= 0 && row < h && column >= 0 && column < w;
        for (let k = 0; k < c; ++k) {
          y.push(inside ? (x[((i * h + row) * w + column) * c + k] as number) : 0);
        }
      }
    }
  }
  return y;
}

const extent = (most: number): fc.Arbitrary<number> => fc.integer({ min: 1, max: most });
const cases = fc
  .record({
    shape: fc.tuple(extent(9), extent(7), extent(40), extent(4)),
    padding: fc.nat(3),
    flip: fc.boolean(),
    share: fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })),
    dtype: fc.constantFrom<DType>('uint8', 'float32', 'bfloat16', 'float16', 'float64', 'int32'),
    seed: seeds,
    far: fc.boolean(),
  })
  .map(({ share, ...rest }) => {
    const within = (size: number, part: number): number =>
      1 + Math.floor(part * (size + 2 * rest.padding - 1));
    const [, h, w] = rest.shape;
    return { ...rest, size: [within(h, share[0]), within(w, share[1])] as const };
  });

describe('randomCropFlip', () => {
  it('cuts and mirrors as it is defined, in every dtype', () => {
    fc.assert(
      fc.property(cases, ({ shape, padding, flip, size, dtype, seed, far }) => {
        const numbers = new Numbers(seed);
        const values = Array.from({ length: product(shape) }, () => numbers.below(255) + 1);
        // Seeds have up to 53 bits.
        const full = far ? seed * 2 ** 21 + 5 : seed;
        scope(() => {
          const y = ops.randomCropFlip(tensor(values, { shape, dtype }), size, { padding, flip, seed: full });
          expect([y.dtype, y.shape]).toEqual([dtype, [shape[0], ...size, shape[3]]]);
          expect(Array.from(y.dataSync())).toEqual(reference(values, shape, size, padding, flip, full));
        });
      }),
      settings(120),
    );
  });

  it(
    'reaches every place, and mirrors half of the images',
    inScope(() => {
      const [n, side] = [4000, 4];
      const image = Uint8Array.from({ length: side * side }, (_, i) => i + 1);
      const values = new Uint8Array(n * image.length);
      for (let i = 0; i < n; ++i) values.set(image, i * image.length);
      const x = tensor(values, { shape: [n, side, side, 1] });
      const y = ops.randomCropFlip(x, [side, side], { padding: 1, flip: true, seed: 4 }).dataSync();
      const seen = new Map<string, number>();
      for (let i = 0; i < n; ++i) {
        const key = y.subarray(i * image.length, (i + 1) * image.length).join();
        seen.set(key, (seen.get(key) ?? 0) + 1);
      }
      expect(seen.size).toBe(3 * 3 * 2);
      for (const count of seen.values()) expect(Math.abs(count - n / 18)).toBeLessThan(5 * Math.sqrt(n / 18));
    }),
  );

  it(
    'draws its seed from the generator it is given, or from the shared one',
    inScope(() => {
      const x = random.uniform([20, 8, 8, 3]);
      const draw = (generator?: Generator): unknown =>
        ops.randomCropFlip(x, [8, 8], { padding: 2, flip: true, generator }).dataSync();
      const generator = new Generator(3);
      const first = draw(generator);
      expect(draw(generator)).not.toEqual(first);
      expect(draw(new Generator(3))).toEqual(first);
      random.seed(3);
      expect(draw()).toEqual(first);
    }),
  );

  it(
    'records nothing',
    inScope(() => {
      const x = tensor([1, 2], { shape: [1, 1, 2, 1], requiresGrad: true });
      expect(ops.randomCropFlip(x, [1, 2]).requiresGrad).toBe(false);
    }),
  );
});
