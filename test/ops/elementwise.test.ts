import fc from 'fast-check';
import { seeds, settings, shapes } from '../support/arbitraries';
import { gradcheck } from '../support/gradcheck';
import { inScope } from '../support/in_scope';
import { ops, scope, tensor } from '../support/library';
import type { Tensor } from '../support/library';
import { Numbers, product } from '../support/numbers';

/** A shape and two shapes that broadcast to it. */
const broadcasts = fc
  .tuple(shapes(0, 4, 4), fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }), fc.nat(4), fc.nat(4), seeds)
  .map(([shape, ones, dropA, dropB, seed]) => {
    const a = shape.map((extent, axis) => (ones[axis] ? 1 : extent)).slice(Math.min(dropA, shape.length));
    // Where a has an axis in full, b may have 1.
    const b = shape
      .map((extent, axis) => (ones[4 + axis] && !ones[axis] ? 1 : extent))
      .slice(dropA > 0 ? 0 : Math.min(dropB, shape.length));
    return { a, b, seed };
  });

function index(flat: number, shape: readonly number[], of: readonly number[]): number {
  let result = 0;
  let rest = flat;
  let stride = 1;
  for (let axis = 1; axis <= shape.length; ++axis) {
    const extent = shape[shape.length - axis] as number;
    const own = of[of.length - axis] ?? 1;
    result += own === 1 ? 0 : (rest % extent) * stride;
    stride *= own;
    rest = Math.floor(rest / extent);
  }
  return result;
}

describe.each([
  ['add', (a: number, b: number) => a + b],
  ['sub', (a: number, b: number) => a - b],
  ['mul', (a: number, b: number) => a * b],
] as const)('%s', (name, f) => {
  it('broadcasts as NumPy does and has the gradients that finite differences find', () => {
    fc.assert(
      fc.property(broadcasts, ({ a, b, seed }) => {
        const numbers = new Numbers(seed);
        const [x, z] = [numbers.normals(product(a)), numbers.normals(product(b))];
        scope(() => {
          const y = ops[name](tensor(x, { shape: a }), tensor(z, { shape: b }));
          const rank = Math.max(a.length, b.length);
          expect(y.rank).toBe(rank);
          const expected = Float64Array.from({ length: y.size }, (_, i) =>
            f(x[index(i, y.shape, a)] as number, z[index(i, y.shape, b)] as number),
          );
          expect(y).toBeAllClose(expected, 1e-15);
        });
        gradcheck(
          (s, t) => ops[name](s, t),
          [
            { shape: a, data: x },
            { shape: b, data: z },
          ],
          { seed },
        );
      }),
      settings(40),
    );
  });

  it(
    'takes a number on the right',
    inScope(() => {
      const x = tensor([1, -2, 3], { dtype: 'float64' });
      expect(Array.from(ops[name](x, 2.5).dataSync())).toEqual([1, -2, 3].map((v) => f(v, 2.5)));
      gradcheck((s) => ops[name](s, -1.5), [{ shape: [3] }]);
    }),
  );

  it(
    'computes long float32 rows, columns and scalars alike',
    inScope(() => {
      const numbers = new Numbers(3);
      for (const [a, b] of [
        [
          [101, 303],
          [101, 303],
        ],
        [[101, 303], [303]],
        [
          [101, 303],
          [101, 1],
        ],
        [[1], [20_000]],
        [[12_000, 3], [3]],
        [[], [7, 5]],
      ]) {
        const [x, z] = [numbers.normals(product(a as number[])), numbers.normals(product(b as number[]))];
        const y = ops[name](
          tensor(x, { shape: a as number[], dtype: 'float32' }),
          tensor(z, { shape: b as number[], dtype: 'float32' }),
        );
        const expected = Float64Array.from({ length: y.size }, (_, i) =>
          f(x[index(i, y.shape, a as number[])] as number, z[index(i, y.shape, b as number[])] as number),
        );
        expect(y).toBeAllClose(expected, 1e-6);
      }
    }),
  );
});

describe.each([
  ['relu', (x: Tensor) => ops.relu(x), (v: number) => Math.max(v, 0)],
  ['leakyRelu', (x: Tensor) => ops.leakyRelu(x), (v: number) => (v > 0 ? v : 0.01 * v)],
  ['leakyRelu with slope 0.3', (x: Tensor) => ops.leakyRelu(x, 0.3), (v: number) => (v > 0 ? v : 0.3 * v)],
  ['leakyRelu with slope 0', (x: Tensor) => ops.leakyRelu(x, 0), (v: number) => Math.max(v, 0)],
  ['leakyRelu with slope 2', (x: Tensor) => ops.leakyRelu(x, 2), (v: number) => (v > 0 ? v : 2 * v)],
  ['abs', (x: Tensor) => ops.abs(x), Math.abs],
  ['square', (x: Tensor) => ops.square(x), (v: number) => v * v],
  ['sqrt', (x: Tensor) => ops.sqrt(ops.abs(x)), (v: number) => Math.sqrt(Math.abs(v))],
  ['scale', (x: Tensor) => ops.scale(x, -1.25, 0.5), (v: number) => -1.25 * v + 0.5],
] as const)('%s', (_, op, f) => {
  it('computes its definition and has the gradients that finite differences find', () => {
    fc.assert(
      fc.property(shapes(0, 4, 5), seeds, (shape, seed) => {
        const data = new Numbers(seed).apart(product(shape));
        scope(() => {
          for (const [dtype, tolerance] of [
            ['float64', 1e-15],
            ['float32', 1e-6],
          ] as const) {
            const y = op(tensor(data, { shape, dtype }));
            expect(y.shape).toEqual(shape);
            expect(y).toBeAllClose(data.map(f), tolerance);
          }
        });
        gradcheck(op, [{ shape, data }], { seed });
      }),
      settings(15),
    );
  });
});

describe('at their kinks', () => {
  it(
    'relu, leakyRelu and abs have the documented gradients',
    inScope(() => {
      const at0 = (op: (x: Tensor) => Tensor): number => {
        const x = tensor([0], { requiresGrad: true });
        op(x).backward();
        return x.grad?.itemSync() ?? NaN;
      };
      expect(at0(ops.relu)).toBe(0);
      expect(at0(ops.abs)).toBe(0);
      expect(at0((x) => ops.leakyRelu(x, 0.5))).toBe(0.5);
    }),
  );
});

describe('cast', () => {
  it(
    'turns uint8 images into floats with scale and shift',
    inScope(() => {
      const images = tensor(Uint8Array.of(0, 128, 255));
      const floats = ops.cast(images, 'float32', { scale: 1 / 128, shift: -1 });
      expect(floats.dtype).toBe('float32');
      expect(floats).toBeAllClose([-1, 0, 255 / 128 - 1], 1e-6);
    }),
  );

  it(
    'rounds into integers towards zero and saturates',
    inScope(() => {
      const x = tensor([-1e10, -1.9, -0.5, 1.9, 300, 1e10, NaN], { dtype: 'float64' });
      expect(Array.from(ops.cast(x, 'int32').dataSync())).toEqual([
        -(2 ** 31),
        -1,
        0,
        1,
        300,
        2 ** 31 - 1,
        0,
      ]);
      expect(Array.from(ops.cast(x, 'uint8').dataSync())).toEqual([0, 0, 0, 1, 255, 255, 0]);
    }),
  );

  it(
    'has a gradient between floats, in the dtype that came in',
    inScope(() => {
      const x = tensor([1, 2], { dtype: 'float32', requiresGrad: true });
      ops.sum(ops.cast(x, 'float64', { scale: 3, shift: 1 })).backward();
      expect(x.grad?.dtype).toBe('float32');
      expect(Array.from(x.grad?.dataSync() ?? [])).toEqual([3, 3]);
      expect(ops.cast(x, 'int32').requiresGrad).toBe(false);
    }),
  );

  it('between every pair of dtypes keeps small whole numbers', () => {
    const dtypes = ['float32', 'float64', 'int32', 'uint8', 'bfloat16', 'float16'] as const;
    for (const from of dtypes) {
      for (const to of dtypes) {
        scope(() => {
          const y = ops.cast(tensor([0, 1, 7, 255], { dtype: from }), to);
          expect(y.dtype).toBe(to);
          expect(Array.from(y.dataSync())).toEqual([0, 1, 7, 255]);
        });
      }
    }
  });
});
