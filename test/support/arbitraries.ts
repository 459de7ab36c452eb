/** fast-check arbitraries for shapes, and the fixed settings that every property runs with. */
import fc from 'fast-check';
import { Numbers } from './numbers';

/** The same shapes in every run. */
export function settings(numRuns: number): { seed: number; numRuns: number } {
  return { seed: 20171204, numRuns };
}

export const seeds = fc.integer({ min: 1, max: 2 ** 31 - 1 });

/** Shapes of `minRank` to `maxRank` axes of 1 to `most`. */
export function shapes(minRank: number, maxRank: number, most: number): fc.Arbitrary<number[]> {
  return fc.array(fc.integer({ min: 1, max: most }), { minLength: minRank, maxLength: maxRank });
}

export interface ConvCase {
  input: [number, number, number, number];
  weight: [number, number, number, number];
  options: {
    stride: [number, number];
    padding: [number, number, number, number];
    dilation: [number, number];
    groups: number;
  };
  seed: number;
}

const extent = (most: number): fc.Arbitrary<number> => fc.integer({ min: 1, max: most });
const side = fc.integer({ min: 0, max: 2 });

/** Convolutions with everything that can be uneven being uneven; the kernel always fits. */
export const convCases: fc.Arbitrary<ConvCase> = fc
  .record({
    n: extent(3),
    h: extent(6),
    w: extent(6),
    channels: extent(5),
    filters: extent(5),
    groups: extent(3),
    kernel: fc.tuple(extent(3), extent(3)),
    stride: fc.tuple(extent(3), extent(3)),
    padding: fc.tuple(side, side, side, side),
    dilation: fc.tuple(extent(2), extent(2)),
    seed: seeds,
  })
  .map((c): ConvCase => {
    const [top, bottom, left, right] = c.padding;
    const fits = (size: number, dilation: number, padded: number): number =>
      Math.min(size, Math.floor((padded - 1) / dilation) + 1);
    const kh = fits(c.kernel[0], c.dilation[0], c.h + top + bottom);
    const kw = fits(c.kernel[1], c.dilation[1], c.w + left + right);
    return {
      input: [c.n, c.h, c.w, c.channels * c.groups],
      weight: [c.filters * c.groups, kh, kw, c.channels],
      options: { stride: c.stride, padding: c.padding, dilation: c.dilation, groups: c.groups },
      seed: c.seed,
    };
  });

export interface PoolCase {
  input: [number, number, number, number];
  kernel: [number, number];
  options: { stride: [number, number]; padding: [number, number, number, number] };
  seed: number;
}

/** Pools whose windows may overlap, leave gaps and reach over the border. */
export const poolCases: fc.Arbitrary<PoolCase> = fc
  .record({
    n: extent(2),
    h: extent(7),
    w: extent(7),
    c: extent(5),
    kernel: fc.tuple(extent(3), extent(3)),
    stride: fc.tuple(extent(3), extent(3)),
    seed: seeds,
  })
  .map((c): PoolCase => {
    const numbers = new Numbers(c.seed);
    const kernel: [number, number] = [Math.min(c.kernel[0], c.h), Math.min(c.kernel[1], c.w)];
    const pads = [kernel[0], kernel[0], kernel[1], kernel[1]].map((size) => numbers.below(size));
    return {
      input: [c.n, c.h, c.w, c.c],
      kernel,
      options: { stride: c.stride, padding: pads as [number, number, number, number] },
      seed: c.seed,
    };
  });
