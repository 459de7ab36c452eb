import fc from 'fast-check';
import { convCases, settings } from '../support/arbitraries';
import { gradcheck } from '../support/gradcheck';
import { inScope } from '../support/in_scope';
import { full, ops, random, scope, tensor, zeros } from '../support/library';
import { Numbers, product } from '../support/numbers';
import * as reference from '../support/reference';

type Four = [number, number, number, number];

describe('conv2d', () => {
  it('equals the loops of its definition, whatever stride, padding, dilation and groups', () => {
    fc.assert(
      fc.property(convCases, ({ input, weight, options, seed }) => {
        const numbers = new Numbers(seed);
        const [x, w, b] = [
          numbers.normals(product(input)),
          numbers.normals(product(weight)),
          numbers.normals(weight[0]),
        ];
        const expected = reference
          .conv2d(x, input, w, weight, options)
          .map((v, i) => v + (b[i % weight[0]] as number));
        for (const [dtype, tolerance] of [
          ['float64', 1e-13],
          ['float32', 1e-5],
        ] as const) {
          scope(() => {
            const bias = tensor(b, { dtype });
            const y = ops.conv2d(
              tensor(x, { shape: input, dtype }),
              tensor(w, { shape: weight, dtype }),
              bias,
              options,
            );
            expect(y.shape).toEqual(reference.outputShape(input, [weight[1], weight[2]], weight[0], options));
            expect(y).toBeAllClose(expected, tolerance);
          });
        }
      }),
      settings(60),
    );
  });

  it('has the gradients that finite differences find', () => {
    fc.assert(
      fc.property(convCases, ({ input, weight, options, seed }) => {
        const inputs = [{ shape: input }, { shape: weight }, { shape: [weight[0]] }];
        gradcheck((x, w, b) => ops.conv2d(x, w, b, options), inputs, { seed });
      }),
      settings(25),
    );
  });

  // Sizes that fill several tiles of every kernel and leave rests; 3×3 at stride 1 is where fast algorithms differ.
  it.each([
    [[2, 13, 11, 19], [37, 3, 3, 19], {}],
    [[1, 16, 16, 64], [64, 3, 3, 64], { padding: [1, 1, 1, 1] }],
    [[3, 9, 10, 33], [65, 1, 1, 33], {}],
    [[2, 12, 12, 3], [50, 5, 5, 3], { stride: [2, 2], padding: [2, 2, 2, 2] }],
    [[1, 15, 14, 24], [18, 3, 3, 8], { groups: 3, padding: [0, 1, 2, 0] }],
    [[1, 17, 17, 16], [32, 3, 3, 16], { dilation: [3, 2], padding: [3, 3, 2, 2] }],
    [[5, 1, 1, 130], [131, 1, 1, 130], {}],
    [[1, 33, 7, 40], [40, 7, 1, 1], { groups: 40, padding: [3, 3, 0, 0] }],
  ] as [Four, Four, Partial<reference.Window>][])(
    'computes input %j with weight %j and %j, and its gradients, in float32 and float64',
    (input, weight, given) => {
      const options = { ...reference.PLAIN, ...given };
      const numbers = new Numbers(7);
      const [x, w] = [numbers.normals(product(input)), numbers.normals(product(weight))];
      const y = reference.conv2d(x, input, w, weight, options);
      const dy = numbers.normals(y.length);
      const { dx, dw } = reference.conv2dGradients(x, input, w, weight, dy, options);
      for (const [dtype, tolerance] of [
        ['float64', 1e-12],
        ['float32', 2e-5],
      ] as const) {
        scope(() => {
          const images = tensor(x, { shape: input, dtype, requiresGrad: true });
          const filters = tensor(w, { shape: weight, dtype, requiresGrad: true });
          const bias = tensor(new Float64Array(weight[0]), { dtype, requiresGrad: true });
          const result = ops.conv2d(images, filters, bias, options);
          result.backward(tensor(dy, { shape: result.shape, dtype }));
          expect(result).toBeAllClose(y, tolerance);
          expect(images.grad?.dataSync() ?? []).toBeAllClose(dx, tolerance);
          expect(filters.grad?.dataSync() ?? []).toBeAllClose(dw, tolerance);
          const sums = Float64Array.from({ length: weight[0] }, (_, o) =>
            dy.reduce((sum, v, i) => (i % weight[0] === o ? sum + v : sum), 0),
          );
          expect(bias.grad?.dataSync() ?? []).toBeAllClose(sums, tolerance);
        });
      }
    },
  );

  it(
    'pads as pad() does',
    inScope(() => {
      const numbers = new Numbers(3);
      const x = tensor(numbers.normals(2 * 5 * 4 * 3), { shape: [2, 5, 4, 3] });
      const w = tensor(numbers.normals(4 * 3 * 3 * 3), { shape: [4, 3, 3, 3] });
      const padded = ops.conv2d(x, w, null, { padding: [2, 1, 0, 3] });
      const explicit = ops.conv2d(
        ops.pad(x, [
          [0, 0],
          [2, 1],
          [0, 3],
          [0, 0],
        ]),
        w,
      );
      expect(padded).toBeAllClose(explicit, 1e-6);
    }),
  );

  it(
    'with groups is separate convolutions side by side',
    inScope(() => {
      const numbers = new Numbers(4);
      const x = tensor(numbers.normals(1 * 5 * 5 * 6), { shape: [1, 5, 5, 6], dtype: 'float64' });
      const w = tensor(numbers.normals(4 * 3 * 3 * 3), { shape: [4, 3, 3, 3], dtype: 'float64' });
      const parts = [0, 1].map((g) =>
        ops.conv2d(
          ops.slice(x, [0, 0, 0, 3 * g], [1, 5, 5, 3]),
          ops.slice(w, [2 * g, 0, 0, 0], [2, 3, 3, 3]),
        ),
      );
      expect(ops.conv2d(x, w, null, { groups: 2 })).toBeAllClose(ops.concat(parts, 3), 1e-13);
    }),
  );

  it(
    'computes only the gradients that are asked for',
    inScope(() => {
      const x = tensor(new Numbers(5).normals(25), { shape: [1, 5, 5, 1] });
      const w = tensor(new Numbers(6).normals(9), { shape: [1, 3, 3, 1], requiresGrad: true });
      ops.sum(ops.conv2d(x, w)).backward();
      expect(x.grad).toBeNull();
      expect(w.grad?.shape).toEqual([1, 3, 3, 1]);
    }),
  );
});

it('gives the bias its gradient where the weight is frozen', () => {
  scope(() => {
    const [images, filters] = [random.normal([2, 4, 4, 3]), random.normal([5, 3, 3, 3])];
    const bias = zeros([5], { requiresGrad: true });
    ops.conv2d(images, filters, bias, { padding: 1 }).backward(full([2, 4, 4, 5], 0.5));
    expect(Array.from(bias.grad?.dataSync() ?? [])).toEqual([16, 16, 16, 16, 16]);
    expect(filters.grad).toBeNull();
  });
});

describe('linear', () => {
  it('is input · weightᵀ + bias, with the gradients that finite differences find', () => {
    const sizes = fc.record({
      n: fc.integer({ min: 1, max: 5 }),
      d: fc.integer({ min: 1, max: 9 }),
      o: fc.integer({ min: 1, max: 7 }),
      seed: fc.integer({ min: 1, max: 1e6 }),
    });
    fc.assert(
      fc.property(sizes, ({ n, d, o, seed }) => {
        const numbers = new Numbers(seed);
        const [x, w, b] = [numbers.normals(n * d), numbers.normals(o * d), numbers.normals(o)];
        const expected = Float64Array.from({ length: n * o }, (_, i) => {
          const row = Math.floor(i / o) * d;
          const column = (i % o) * d;
          return x
            .subarray(row, row + d)
            .reduce((sum, v, j) => sum + v * (w[column + j] as number), b[i % o] as number);
        });
        const inputs = [
          { shape: [n, d], data: x },
          { shape: [o, d], data: w },
          { shape: [o], data: b },
        ];
        scope(() => {
          const [xt, wt, bt] = inputs.map(({ shape, data }) => tensor(data, { shape })) as [
            never,
            never,
            never,
          ];
          const y = ops.linear(xt, wt, bt);
          expect(y.shape).toEqual([n, o]);
          expect(y).toBeAllClose(expected, 1e-13);
        });
        gradcheck((xt, wt, bt) => ops.linear(xt, wt, bt), inputs, { seed });
        gradcheck((xt, wt) => ops.linear(xt, wt), inputs.slice(0, 2), { seed });
      }),
      settings(15),
    );
  });
});
