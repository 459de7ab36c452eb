import fc from 'fast-check';
import { poolCases, settings } from '../support/arbitraries';
import { gradcheck } from '../support/gradcheck';
import { inScope } from '../support/in_scope';
import { ops, scope, tensor } from '../support/library';
import { Numbers, product } from '../support/numbers';
import * as reference from '../support/reference';

const sum = (values: number[]): number => values.reduce((a, b) => a + b, 0);

describe('maxPool2d', () => {
  it('equals its definition and has the gradients that finite differences find', () => {
    fc.assert(
      fc.property(poolCases, ({ input, kernel, options, seed }) => {
        const data = new Numbers(seed).apart(product(input));
        const expected = reference.pool2d(data, input, kernel, options, (values) => Math.max(...values));
        scope(() => {
          for (const dtype of ['float64', 'float32'] as const) {
            const y = ops.maxPool2d(tensor(data, { shape: input, dtype }), kernel, options);
            expect(y.shape).toEqual(
              reference.outputShape(input, kernel, input[3], { ...reference.PLAIN, ...options }),
            );
            expect(Array.from(y.dataSync())).toEqual(
              Array.from(expected, dtype === 'float32' ? Math.fround : Number),
            );
          }
        });
        // A window that lies in the padding alone has no maximum to move.
        if (expected.every(Number.isFinite)) {
          gradcheck((x) => ops.maxPool2d(x, kernel, options), [{ shape: input, data }], { seed });
        }
      }),
      settings(40),
    );
  });

  it(
    'sends the gradient of a tie to the first element of the window',
    inScope(() => {
      const x = tensor(
        [
          [3, 3],
          [3, 3],
        ].flat(),
        { shape: [1, 2, 2, 1], requiresGrad: true },
      );
      ops.maxPool2d(x, 2).backward(tensor([5], { shape: [1, 1, 1, 1] }));
      expect(Array.from(x.grad?.dataSync() ?? [])).toEqual([5, 0, 0, 0]);
    }),
  );

  it(
    'never takes the padding, even where all values are negative',
    inScope(() => {
      const x = tensor(Float32Array.of(-5, -6, -7, -8), { shape: [1, 2, 2, 1] });
      expect(Math.max(...ops.maxPool2d(x, 2, { stride: 1, padding: 1 }).dataSync())).toBe(-5);
    }),
  );
});

describe.each([true, false])('avgPool2d with countPadding %p', (countPadding) => {
  it('equals its definition and has the gradients that finite differences find', () => {
    fc.assert(
      fc.property(poolCases, ({ input, kernel, options, seed }) => {
        const data = new Numbers(seed).normals(product(input));
        const mean = (values: number[], size: number): number =>
          values.length === 0 ? 0 : sum(values) / (countPadding ? size : values.length);
        const expected = reference.pool2d(data, input, kernel, options, mean);
        scope(() => {
          for (const [dtype, tolerance] of [
            ['float64', 1e-14],
            ['float32', 1e-6],
          ] as const) {
            const y = ops.avgPool2d(tensor(data, { shape: input, dtype }), kernel, {
              ...options,
              countPadding,
            });
            expect(y).toBeAllClose(expected, tolerance);
          }
        });
        gradcheck((x) => ops.avgPool2d(x, kernel, { ...options, countPadding }), [{ shape: input, data }], {
          seed,
        });
      }),
      settings(40),
    );
  });
});

describe('globalAvgPool2d', () => {
  it.each([[[1, 1, 1, 1]], [[2, 3, 5, 7]], [[3, 7, 7, 300]]])(
    'of %j is the mean over height and width',
    (shape) => {
      scope(() => {
        const x = tensor(new Numbers(5).normals(product(shape)), { shape });
        const y = ops.globalAvgPool2d(x);
        expect(y.shape).toEqual([shape[0], shape[3]]);
        expect(y).toBeAllClose(ops.mean(x, { axes: [1, 2] }), 1e-14);
      });
      gradcheck((x) => ops.globalAvgPool2d(x), [{ shape }]);
    },
  );
});

describe.each(['maxPool2d', 'avgPool2d'] as const)('%s of many channels and images', (name) => {
  it.each([
    [[1, 9, 9, 513], 2, 2],
    [[17, 5, 6, 20], 3, 1],
    [[2, 8, 8, 270], 3, 2],
    [[2, 8, 8, 64], 2, 3],
  ] as const)(
    '%j, window %p, stride %p, equals its definition forward and backward',
    (shape, window, stride) => {
      scope(() => {
        const data = new Numbers(6).apart(product(shape), 0.001);
        const x = tensor(data, { shape, dtype: 'float32', requiresGrad: true });
        const y = ops[name](x, window, { stride });
        const f = name === 'maxPool2d' ? (v: number[]) => Math.max(...v) : (v: number[]) => sum(v) / v.length;
        const padding = [0, 0, 0, 0] as const;
        const expected = reference.pool2d(
          data,
          shape,
          [window, window],
          { stride: [stride, stride], padding },
          f,
        );
        expect(y).toBeAllClose(expected, 1e-6);
        // Every window hands on what it got: all of the gradient arrives.
        const dy = new Numbers(7).normals(y.size);
        y.backward(tensor(dy, { shape: y.shape, dtype: 'float32' }));
        const dx = (x.grad?.dataSync() ?? []) as Float32Array;
        expect(dx.reduce((a, b) => a + b, 0)).toBeCloseTo(
          dy.reduce((a, b) => a + b, 0),
          2,
        );
        const again = tensor(data, { shape, requiresGrad: true });
        ops[name](again, window, { stride }).backward(tensor(dy, { shape: y.shape }));
        expect(dx).toBeAllClose(again.grad?.dataSync() ?? [], 1e-6);
      });
    },
  );
});
