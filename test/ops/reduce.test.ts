import fc from 'fast-check';
import { seeds, settings, shapes } from '../support/arbitraries';
import { gradcheck } from '../support/gradcheck';
import { inScope } from '../support/in_scope';
import { ops, scope, tensor } from '../support/library';
import { Numbers, product } from '../support/numbers';

/** Sums over axes by walking every element. */
function summed(data: Float64Array, shape: readonly number[], axes: readonly number[]): Float64Array {
  const kept = shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
  const result = new Float64Array(product(kept));
  data.forEach((value, flat) => {
    let rest = flat;
    let at = 0;
    let stride = 1;
    for (let axis = shape.length - 1; axis >= 0; --axis) {
      const extent = shape[axis] as number;
      if (!axes.includes(axis)) at += (rest % extent) * stride;
      stride *= kept[axis] as number;
      rest = Math.floor(rest / extent);
    }
    result[at] = (result[at] as number) + value;
  });
  return result;
}

const cases = fc
  .tuple(shapes(0, 5, 4), fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }), fc.boolean(), seeds)
  .map(([shape, chosen, keepDims, seed]) => ({
    shape,
    axes: shape.map((_, axis) => axis).filter((axis) => chosen[axis]),
    keepDims,
    seed,
  }));

describe.each(['sum', 'mean'] as const)('%s', (name) => {
  it('reduces any axes, with the gradients that finite differences find', () => {
    fc.assert(
      fc.property(cases, ({ shape, axes, keepDims, seed }) => {
        const data = new Numbers(seed).normals(product(shape));
        const total = summed(data, shape, axes);
        const count = name === 'mean' ? data.length / total.length : 1;
        scope(() => {
          const y = ops[name](tensor(data, { shape }), { axes, keepDims });
          expect(y.shape).toEqual(
            keepDims
              ? shape.map((e, a) => (axes.includes(a) ? 1 : e))
              : shape.filter((_, a) => !axes.includes(a)),
          );
          expect(y).toBeAllClose(
            total.map((v) => v / count),
            1e-13,
          );
        });
        gradcheck((x) => ops[name](x, { axes, keepDims }), [{ shape, data }], { seed });
      }),
      settings(40),
    );
  });

  it(
    'reduces everything by default and counts negative axes from the last',
    inScope(() => {
      const x = tensor([
        [1, 2, 3],
        [4, 5, 6],
      ]);
      const factor = name === 'mean' ? 6 : 1;
      expect(ops[name](x).shape).toEqual([]);
      expect(ops[name](x).itemSync()).toBeCloseTo(21 / factor, 6);
      expect(Array.from(ops[name](x, { axes: -2 }).dataSync())).toEqual(
        name === 'mean' ? [2.5, 3.5, 4.5] : [5, 7, 9],
      );
    }),
  );

  it.each([
    [[100_000], [0]],
    [[300, 500], [0]],
    [[300, 500], [1]],
    [
      [40, 50, 60],
      [0, 2],
    ],
    [[40, 50, 60], [1]],
    [
      [7, 9, 11, 13],
      [0, 1, 2],
    ],
    [[70_001, 3], [0]],
  ])('of float32 %j over axes %j is exact to float32 rounding', (shape, axes) => {
    scope(() => {
      // A large mean: adding up in float32 would lose three digits.
      const data = new Numbers(4).normals(product(shape)).map((v) => Math.fround(v + 100));
      const total = summed(data, shape, axes);
      const count = name === 'mean' ? data.length / total.length : 1;
      expect(ops[name](tensor(data, { shape, dtype: 'float32' }), { axes })).toBeAllClose(
        total.map((v) => v / count),
        1.8e-7,
      );
    });
  });
});
