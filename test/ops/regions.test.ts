import fc from 'fast-check';
import { seeds, settings, shapes } from '../support/arbitraries';
import { gradcheck } from '../support/gradcheck';
import { inScope } from '../support/in_scope';
import { memory, ops, scope, tensor } from '../support/library';
import { Numbers, product } from '../support/numbers';

/** The multi-index of a flat one. */
function unravel(flat: number, shape: readonly number[]): number[] {
  const at = shape.map(() => 0);
  let rest = flat;
  for (let axis = shape.length - 1; axis >= 0; --axis) {
    const extent = shape[axis] as number;
    at[axis] = rest % extent;
    rest = Math.floor(rest / extent);
  }
  return at;
}

function ravel(at: readonly number[], shape: readonly number[]): number {
  return shape.reduce((flat, extent, axis) => flat * extent + (at[axis] as number), 0);
}

const blocks = fc.tuple(shapes(0, 5, 4), seeds).map(([shape, seed]) => {
  const numbers = new Numbers(seed);
  const begin = shape.map((extent) => numbers.below(extent));
  const size = shape.map((extent, axis) => 1 + numbers.below(extent - (begin[axis] as number)));
  return { shape, begin, size, seed, data: numbers.normals(product(shape)) };
});

describe('slice', () => {
  it('cuts any block, with the gradients that finite differences find', () => {
    fc.assert(
      fc.property(blocks, ({ shape, begin, size, data, seed }) => {
        scope(() => {
          const y = ops.slice(tensor(data, { shape }), begin, size);
          expect(y.shape).toEqual(size);
          const expected = Float64Array.from({ length: product(size) }, (_, i) => {
            return data[
              ravel(
                unravel(i, size).map((v, axis) => v + (begin[axis] as number)),
                shape,
              )
            ] as number;
          });
          expect(Array.from(y.dataSync())).toEqual(Array.from(expected));
        });
        gradcheck((x) => ops.slice(x, begin, size), [{ shape, data }], { seed });
      }),
      settings(60),
    );
  });

  it(
    'of whole inner axes shares the memory',
    inScope(() => {
      const x = tensor([
        [1, 2],
        [3, 4],
        [5, 6],
      ]);
      const before = memory().bytes;
      const middle = ops.slice(x, [1, 0], [1, 2]);
      expect(memory().bytes).toBe(before);
      x.assign([0, 0, 7, 8, 0, 0]);
      expect(Array.from(middle.dataSync())).toEqual([7, 8]);
    }),
  );
});

describe('pad', () => {
  it('adds values around, with the gradients that finite differences find', () => {
    fc.assert(
      fc.property(blocks, fc.constantFrom(0, -2.5), ({ shape, begin, data, seed }, value) => {
        const padding = begin.map((before, axis) => [before, seed % (axis + 3)] as [number, number]);
        scope(() => {
          const y = ops.pad(tensor(data, { shape }), padding, value);
          expect(y.shape).toEqual(shape.map((e, a) => e + (padding[a]?.[0] ?? 0) + (padding[a]?.[1] ?? 0)));
          const expected = Float64Array.from({ length: y.size }, (_, i) => {
            const at = unravel(i, y.shape).map((v, axis) => v - (begin[axis] as number));
            const inside = at.every((v, axis) => v >= 0 && v < (shape[axis] as number));
            return inside ? (data[ravel(at, shape)] as number) : value;
          });
          expect(Array.from(y.dataSync())).toEqual(Array.from(expected));
          expect(Array.from(ops.slice(y, begin, shape).dataSync())).toEqual(Array.from(data));
        });
        gradcheck((x) => ops.pad(x, padding, value), [{ shape, data }], { seed });
      }),
      settings(30),
    );
  });
});

describe('concat', () => {
  it('puts tensors side by side along any axis, with the gradients that finite differences find', () => {
    fc.assert(
      fc.property(shapes(1, 4, 3), fc.integer({ min: 1, max: 4 }), seeds, (shape, count, seed) => {
        const numbers = new Numbers(seed);
        const axis = numbers.below(shape.length);
        const parts = Array.from({ length: count }, () =>
          shape.map((e, a) => (a === axis ? 1 + numbers.below(3) : e)),
        );
        scope(() => {
          const tensors = parts.map((part) => tensor(numbers.normals(product(part)), { shape: part }));
          const whole = ops.concat(tensors, axis - shape.length);
          let start = 0;
          for (const part of tensors) {
            const begin = shape.map((_, a) => (a === axis ? start : 0));
            expect(Array.from(ops.slice(whole, begin, part.shape).dataSync())).toEqual(
              Array.from(part.dataSync()),
            );
            start += part.shape[axis] as number;
          }
          expect(whole.shape[axis]).toBe(start);
        });
        gradcheck(
          (...tensors) => ops.concat(tensors, axis),
          parts.map((part) => ({ shape: part })),
          { seed },
        );
      }),
      settings(25),
    );
  });

  it(
    'of labels keeps their dtype',
    inScope(() => {
      const y = ops.concat([tensor(Int32Array.of(1, 2)), tensor(Int32Array.of(3))], 0);
      expect([y.dtype, ...y.dataSync()]).toEqual(['int32', 1, 2, 3]);
    }),
  );
});

describe('reshape and flatten', () => {
  it(
    'give the same memory another shape',
    inScope(() => {
      const x = tensor([1, 2, 3, 4, 5, 6], { shape: [2, 3] });
      const before = memory().bytes;
      const y = ops.reshape(x, [3, -1]);
      expect(y.shape).toEqual([3, 2]);
      expect(ops.flatten(ops.reshape(x, [2, 1, 3])).shape).toEqual([2, 3]);
      expect(memory().bytes).toBe(before);
      x.assign([6, 5, 4, 3, 2, 1]);
      expect(Array.from(y.dataSync())).toEqual([6, 5, 4, 3, 2, 1]);
    }),
  );

  it(
    'outlive the tensor they came from',
    inScope(() => {
      const x = tensor([1, 2, 3, 4]);
      const y = ops.reshape(x, [2, 2]);
      x.dispose();
      expect(Array.from(y.dataSync())).toEqual([1, 2, 3, 4]);
    }),
  );

  it('have the gradients that finite differences find', () => {
    gradcheck((x) => ops.square(ops.reshape(x, [-1, 6])), [{ shape: [2, 3, 4] }]);
    gradcheck((x) => ops.square(ops.flatten(x)), [{ shape: [3, 2, 2] }]);
    gradcheck((x) => ops.reshape(x, []), [{ shape: [1, 1] }]);
  });
});
