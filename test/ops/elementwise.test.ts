import fc from 'fast-check';
import { seeds, settings, shapes } from '../support/arbitraries';
import { gradcheck } from '../support/gradcheck';
import { inScope } from '../support/in_scope';
import { ops, scope, tensor } from '../support/library';
import type { Tensor } from '../support/library';
import { Numbers, product } from '../support/numbers';

/** |x| + 0.5 */
const positive = (x: Tensor): Tensor => ops.add(ops.abs(x), 0.5);

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

const same = (v: number): number => v;
const awayFrom0 = (v: number): number => v + (v < 0 ? -0.5 : 0.5);

describe.each([
  ['add', (a: number, b: number) => a + b, same],
  ['sub', (a: number, b: number) => a - b, same],
  ['mul', (a: number, b: number) => a * b, same],
  ['div', (a: number, b: number) => a / b, awayFrom0],
] as const)('%s', (name, f, operand) => {
  it('broadcasts as NumPy does and has the gradients that finite differences find', () => {
    fc.assert(
      fc.property(broadcasts, ({ a, b, seed }) => {
        const numbers = new Numbers(seed);
        const [x, z] = [numbers.normals(product(a)), numbers.normals(product(b)).map(operand)];
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
      expect(ops[name](x, 2.5)).toBeAllClose(
        [1, -2, 3].map((v) => f(v, 2.5)),
        1e-15,
      );
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
        const x = numbers.normals(product(a as number[]));
        const z = numbers.normals(product(b as number[])).map(operand);
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
  ['exp', (x: Tensor) => ops.exp(x), Math.exp],
  ['log', (x: Tensor) => ops.log(positive(x)), (v: number) => Math.log(Math.abs(v) + 0.5)],
  ['tanh', (x: Tensor) => ops.tanh(x), Math.tanh],
  ['softplus', (x: Tensor) => ops.softplus(x), (v: number) => Math.log(1 + Math.exp(v))],
  [
    'acos',
    (x: Tensor) => ops.acos(ops.scale(ops.tanh(x), 0.9)),
    (v: number) => Math.acos(0.9 * Math.tanh(v)),
  ],
  ['power 3', (x: Tensor) => ops.power(x, 3), (v: number) => v ** 3],
  ['power 0', (x: Tensor) => ops.power(x, 0), () => 1],
  ['power 2.5', (x: Tensor) => ops.power(positive(x), 2.5), (v: number) => (Math.abs(v) + 0.5) ** 2.5],
  ['power -0.7', (x: Tensor) => ops.power(positive(x), -0.7), (v: number) => (Math.abs(v) + 0.5) ** -0.7],
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

/** Gradient of op at each of some values. */
function slopes(op: (x: Tensor) => Tensor, at: readonly number[]): number[] {
  return scope(() => {
    const x = tensor([...at], { dtype: 'float64', requiresGrad: true });
    ops.sum(op(x)).backward();
    return Array.from(x.grad?.dataSync() ?? []);
  });
}

describe('where formulas overflow or end', () => {
  const values = (op: (x: Tensor) => Tensor, at: readonly number[]): number[] =>
    scope(() => Array.from(op(tensor([...at], { dtype: 'float64' })).dataSync()));

  it('div follows IEEE 754', () => {
    scope(() => {
      const [a, b] = [tensor([1, -1, 0, 1]), tensor([0, 0, 0, -0])];
      expect(Array.from(ops.div(a, b).dataSync())).toEqual([Infinity, -Infinity, NaN, -Infinity]);
      expect(Array.from(ops.div(a, 0).dataSync())).toEqual([Infinity, -Infinity, NaN, Infinity]);
    });
  });

  it('exp, log and tanh have the limits of their definitions', () => {
    expect(values(ops.exp, [-Infinity, -1000, 1000, NaN])).toEqual([0, 0, Infinity, NaN]);
    expect(values(ops.log, [0, Infinity, -1])).toEqual([-Infinity, Infinity, NaN]);
    expect(slopes(ops.log, [0])).toEqual([Infinity]);
    expect(values(ops.tanh, [-1000, 1000])).toEqual([-1, 1]);
    expect((slopes(ops.tanh, [20])[0] as number) / (4 * Math.exp(-40))).toBeCloseTo(1, 12);
    expect(slopes(ops.tanh, [-1000, 1000])).toEqual([0, 0]);
  });

  it('softplus neither overflows nor loses small values', () => {
    expect(values(ops.softplus, [1000, -1000, Infinity, -Infinity, NaN])).toEqual([
      1000,
      0,
      Infinity,
      0,
      NaN,
    ]);
    expect((values(ops.softplus, [-50])[0] as number) / Math.exp(-50)).toBeCloseTo(1, 12);
    expect(slopes(ops.softplus, [1000, -1000])).toEqual([1, 0]);
  });

  it('acos takes its input into [-1, 1] and cuts its slope off', () => {
    expect(values(ops.acos, [1, 1.5, -1, -1.5, Infinity, NaN])).toEqual([0, 0, Math.PI, Math.PI, 0, NaN]);
    slopes(ops.acos, [1, -1, 1.5, 1 - 4e-7]).forEach((slope) => {
      expect(slope).toBeCloseTo(-1000, 6);
    });
    expect(slopes(ops.acos, [1 - 1e-6])[0]).toBeCloseTo(-1 / Math.sqrt(1e-6 * (2 - 1e-6)), 6);
  });

  it('power has a slope of 0 where it would be infinite', () => {
    expect(values((x) => ops.power(x, 0.5), [0, -1, 4])).toEqual([0, NaN, 2]);
    expect(values((x) => ops.power(x, -1), [0, -2])).toEqual([Infinity, -0.5]);
    expect(slopes((x) => ops.power(x, 0.5), [0, 4])).toEqual([0, 0.25]);
    expect(slopes((x) => ops.power(x, -1), [0, 2])).toEqual([0, -0.25]);
    expect(slopes((x) => ops.power(x, 1), [0])).toEqual([1]);
    expect(slopes((x) => ops.power(x, 3), [0])).toEqual([0]);
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
