import { allValues, HALF_DTYPES, rounder } from '../support/half';
import { inScope } from '../support/in_scope';
import { memory, ones, ops, scope, tensor } from '../support/library';
import type { HalfDType } from '../support/library';
import { Numbers } from '../support/numbers';

const { is } = Object;

/** Where two arrays differ, NaN and the sign of 0 told apart. */
function differences(actual: ArrayLike<number>, expected: ArrayLike<number>): unknown[] {
  const found: unknown[] = [];
  for (let i = 0; i < expected.length; ++i) {
    if (!is(actual[i], expected[i])) found.push([i, actual[i], expected[i]]);
  }
  return found.slice(0, 5);
}

/** Numbers of every magnitude, those in the middle of two neighbours and next to it, and special ones. */
function hardNumbers(dtype: HalfDType): Float64Array {
  const numbers = new Numbers(7);
  const bits = new Uint32Array(40_000).map(() => numbers.below(2 ** 32));
  const anything = new Float64Array(bits.buffer);
  const magnitudes = numbers.normals(20_000).map((value) => value * 2 ** (numbers.below(300) - 170));
  const near = numbers.normals(20_000).map((value) => value * 2 ** (numbers.below(44) - 27));
  const all = allValues(dtype);
  const middles = Float64Array.from({ length: 20_000 }, () => {
    const at = numbers.below(0x7bff);
    const middle = ((all[at] as number) + (all[at + 1] as number)) / 2;
    const away = (numbers.below(3) - 1) * 2 ** -(20 + numbers.below(33));
    return (numbers.below(2) === 0 ? 1 : -1) * middle * (1 + away);
  });
  const special = [
    0,
    -0,
    Infinity,
    -Infinity,
    NaN,
    65504,
    65519,
    65520,
    5e-324,
    -5e-324,
    3.4e38,
    3.3962e38,
    1e300,
  ];
  return Float64Array.from([...anything, ...magnitudes, ...near, ...middles, ...special]);
}

describe.each(HALF_DTYPES)('%s', (dtype) => {
  it(
    'keeps each of its values on the way to the device and back',
    inScope(async () => {
      const values = allValues(dtype);
      const floats = Float32Array.from(values);
      expect(differences(floats, values)).toEqual([]);
      const t = tensor(floats, { dtype });
      expect(differences(t.dataSync(), values)).toEqual([]);
      expect(differences(await t.data(dtype), values)).toEqual([]);
      expect(differences(tensor(Array.from(values), { dtype }).dataSync(dtype), values)).toEqual([]);
    }),
  );

  it(
    'keeps each of its values in casts to and from wider floats',
    inScope(() => {
      const values = allValues(dtype);
      for (const wide of ['float32', 'float64'] as const) {
        const up = ops.cast(tensor(values, { dtype }), wide);
        expect(up).toBeAllClose(values, 0);
        expect(ops.cast(tensor(values, { dtype: wide }), dtype)).toBeAllClose(values, 0);
        expect(ops.cast(up, dtype)).toBeAllClose(values, 0);
      }
    }),
  );

  it(
    'is rounded to nearest, ties to even, from float64 and float32, on the host and on the device',
    inScope(() => {
      const round = rounder(dtype);
      const doubles = hardNumbers(dtype);
      const floats = Float32Array.from(doubles);
      for (const numbers of [doubles, floats]) {
        const expected = Float64Array.from(numbers, round);
        expect(differences(tensor(numbers, { dtype }).dataSync(), expected)).toEqual([]);
        const cast = ops.cast(tensor(numbers), dtype).dataSync();
        // A cast is 1 · x + 0, which turns −0 into 0.
        const unsigned = (value: number): number => value + 0;
        expect(differences(cast.map(unsigned), expected.map(unsigned))).toEqual([]);
      }
    }),
  );

  it(
    'is rounded once by a cast that scales and shifts, as from uint8 and int32',
    inScope(() => {
      const round = rounder(dtype);
      const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
      const [scale, shift] = [1 / 128, -127.5 / 128];
      const images = ops.cast(tensor(bytes), dtype, { scale, shift }).dataSync();
      const expected = Float64Array.from(bytes, (byte) => round(byte * scale + shift));
      expect(differences(images, expected)).toEqual([]);
      const whole = Int32Array.of(257, -259, 2049, 2051, 65519, 65520, 2 ** 31 - 1, -(2 ** 31));
      expect(differences(ops.cast(tensor(whole), dtype).dataSync(), Float64Array.from(whole, round))).toEqual(
        [],
      );
    }),
  );

  it(
    'is cut towards zero and saturated by a cast to integers',
    inScope(() => {
      const x = tensor([-1.5, 2.75, 300, -Infinity, NaN], { dtype });
      expect(Array.from(ops.cast(x, 'int32').dataSync())).toEqual([-1, 2, 300, -(2 ** 31), 0]);
      expect(Array.from(ops.cast(x, 'uint8').dataSync())).toEqual([0, 2, 255, 0, 0]);
      expect(Array.from(ops.cast(tensor(Uint8Array.of(0, 7, 255)), dtype).dataSync())).toEqual([0, 7, 255]);
    }),
  );

  it(
    'is a tensor as others are: shapes, views, reading, writing, describing',
    inScope(async () => {
      const t = tensor([[1.5, -2], [0.25, 4]], { dtype }); // prettier-ignore
      expect([t.dtype, t.shape, t.toString()]).toEqual([
        dtype,
        [2, 2],
        `Tensor(${dtype} [2, 2] on ${t.device})`,
      ]);
      expect(await t.toArray()).toEqual([[1.5, -2], [0.25, 4]]); // prettier-ignore
      const row = ops.slice(t, [1, 0], [1, 2]);
      expect(Array.from(row.dataSync())).toEqual([0.25, 4]);
      expect(Array.from(ops.slice(t, [0, 1], [2, 1]).dataSync())).toEqual([-2, 4]);
      expect(await tensor(3.25, { dtype }).item()).toBe(3.25);
      t.assign([1, 2, 3, 4]);
      expect(Array.from(row.dataSync())).toEqual([3, 4]);
      t.assign(tensor(Int32Array.of(5, 6, 7, 8), { dtype, shape: [2, 2] }));
      expect(Array.from(t.dataSync())).toEqual([5, 6, 7, 8]);
      const data = t.dataSync(dtype);
      expect(data).toBeInstanceOf(Float32Array);
      expect(data.reduce((a, b) => a + b)).toBe(26);
      t.requiresGrad = true;
      expect(t.requiresGrad).toBe(true);
    }),
  );

  it(
    'takes two bytes an element',
    inScope(() => {
      const { bytes } = memory();
      ones([1000], { dtype });
      expect(memory().bytes - bytes).toBe(2000);
    }),
  );
});

it('a gradient has the dtype of its leaf, through casts too', () => {
  scope(() => {
    for (const dtype of HALF_DTYPES) {
      const x = tensor([1, 2, 3], { dtype, requiresGrad: true });
      const w = tensor([1, 2, 3], { requiresGrad: true });
      ops.sum(ops.mul(ops.cast(x, 'float32', { scale: 2 }), w)).backward();
      ops.sum(ops.mul(x, ops.cast(w, dtype, { shift: 1 }))).backward();
      expect([x.grad?.dtype, w.grad?.dtype]).toEqual([dtype, 'float32']);
      expect(Array.from(x.grad?.dataSync() ?? [])).toEqual([4, 7, 10]);
      expect(Array.from(w.grad?.dataSync() ?? [])).toEqual([3, 6, 9]);
    }
  });
});
