import fc from 'fast-check';
import { convCases, settings } from '../support/arbitraries';
import { gradcheck } from '../support/gradcheck';
import { losses, ops, scope, tensor } from '../support/library';
import { Numbers, product } from '../support/numbers';
import * as reference from '../support/reference';

type Four = [number, number, number, number];

const SPHERES: readonly reference.Sphere[] = [
  { operator: 'cosine', k: 1, epsilon: 1e-4 },
  { operator: 'linear', k: 1, epsilon: 1e-2 },
  { operator: 'sigmoid', k: 0.3, epsilon: 1e-4 },
  { operator: 'sigmoid', k: 1.7, epsilon: 0.5 },
  { operator: 'squaredCosine', k: 1, epsilon: 1e-4 },
];

/** Where |c| of a float64 case comes so near to 1 that a finite difference cannot follow asin. */
function tooParallel(
  x: Float64Array,
  input: Four,
  w: Float64Array,
  weight: Four,
  epsilon: number,
  p: reference.Window,
): boolean {
  const cosines = reference.sphereConv2d(x, input, w, weight, { operator: 'cosine', k: 1, epsilon }, p);
  return cosines.some((c) => Math.abs(c) > 0.98);
}

describe.each(SPHERES)('sphereConv2d with operator $operator, k $k, epsilon $epsilon', (sphere) => {
  it('equals its definition, whatever stride, padding, dilation and groups', () => {
    fc.assert(
      fc.property(convCases, ({ input, weight, options, seed }) => {
        const numbers = new Numbers(seed);
        const [x, w] = [numbers.normals(product(input)), numbers.normals(product(weight))];
        const expected = reference.sphereConv2d(x, input, w, weight, sphere, options);
        for (const [dtype, tolerance] of [
          ['float64', 1e-12],
          ['float32', 2e-5],
        ] as const) {
          // In float32 the rounding of c near 1 is magnified by asin without bound.
          if (dtype === 'float32' && tooParallel(x, input, w, weight, sphere.epsilon, options)) continue;
          scope(() => {
            const [images, filters] = [
              tensor(x, { shape: input, dtype }),
              tensor(w, { shape: weight, dtype }),
            ];
            const y = ops.sphereConv2d(images, filters, { ...sphere, ...options });
            expect(y.shape).toEqual(reference.outputShape(input, [weight[1], weight[2]], weight[0], options));
            expect(y).toBeAllClose(expected, tolerance);
          });
        }
      }),
      settings(40),
    );
  });

  it('has the gradients that finite differences find', () => {
    fc.assert(
      fc.property(convCases, ({ input, weight, options, seed }) => {
        const numbers = new Numbers(seed);
        const [x, w] = [numbers.normals(product(input)), numbers.normals(product(weight))];
        fc.pre(sphere.operator === 'cosine' || !tooParallel(x, input, w, weight, sphere.epsilon, options));
        const inputs = [
          { shape: input, data: x },
          { shape: weight, data: w },
        ];
        gradcheck((a, b) => ops.sphereConv2d(a, b, { ...sphere, ...options }), inputs, {
          seed,
          step: 3e-6,
          tolerance: 1e-6,
        });
      }),
      settings(20),
    );
  });
});

describe('sphereConv2d with a tensor k', () => {
  it.each([
    ['[O]', (filters: number) => filters],
    ['[1]', () => 1],
  ])('of shape %s has the gradients that finite differences find', (_, count) => {
    fc.assert(
      fc.property(convCases, ({ input, weight, options, seed }) => {
        const numbers = new Numbers(seed);
        const [x, w] = [numbers.normals(product(input)), numbers.normals(product(weight))];
        fc.pre(!tooParallel(x, input, w, weight, 1e-4, options));
        const k = Float64Array.from({ length: count(weight[0]) }, () => 0.2 + numbers.uniform());
        const inputs = [
          { shape: input, data: x },
          { shape: weight, data: w },
          { shape: [k.length], data: k },
        ];
        const f = (a: Parameters<typeof ops.sphereConv2d>[0], b: typeof a, c: typeof a): typeof a =>
          ops.sphereConv2d(a, b, { operator: 'sigmoid', k: c, ...options });
        gradcheck(f, inputs, { seed, step: 3e-6, tolerance: 1e-6 });
      }),
      settings(20),
    );
  });

  it('gives what the same numbers give filter by filter', () => {
    scope(() => {
      const numbers = new Numbers(9);
      const x = tensor(numbers.normals(2 * 4 * 4 * 3), { shape: [2, 4, 4, 3] });
      const w = tensor(numbers.normals(3 * 9 * 3), { shape: [3, 3, 3, 3] });
      const ks = [0.1, 0.4, 2];
      const together = ops.sphereConv2d(x, w, { operator: 'sigmoid', k: tensor(ks, { dtype: 'float64' }) });
      const apart = ks.map((k, o) =>
        ops.sphereConv2d(x, ops.slice(w, [o, 0, 0, 0], [1, 3, 3, 3]), { operator: 'sigmoid', k }),
      );
      expect(together).toBeAllClose(ops.concat(apart, 3), 1e-13);
    });
  });
});

describe('sphereConv2d on shapes that fill several tiles', () => {
  it.each([
    [[2, 13, 11, 19], [37, 3, 3, 19], {}],
    [[1, 16, 16, 32], [64, 3, 3, 32], { padding: [1, 1, 1, 1] }],
    [[3, 9, 10, 33], [65, 1, 1, 33], {}],
    [[2, 12, 12, 3], [50, 5, 5, 3], { stride: [2, 2], padding: [2, 2, 2, 2] }],
    [[1, 15, 14, 24], [18, 3, 3, 8], { groups: 3, padding: [0, 1, 2, 0] }],
    [[1, 17, 17, 16], [32, 3, 3, 16], { dilation: [3, 2], padding: [3, 3, 2, 2] }],
    [[1, 4, 4, 65], [10, 4, 4, 65], {}],
    [[300, 1, 1, 70], [33, 1, 1, 70], {}],
  ] as [Four, Four, Partial<reference.Window>][])(
    'computes input %j with weight %j and %j, and its gradients, in float32 and float64',
    (input, weight, given) => {
      const options = { ...reference.PLAIN, ...given };
      const numbers = new Numbers(8);
      const [x, w] = [numbers.normals(product(input)), numbers.normals(product(weight))];
      for (const sphere of SPHERES) {
        const y = reference.sphereConv2d(x, input, w, weight, sphere, options);
        const dy = new Numbers(10).normals(y.length);
        const { dx, dw } = reference.sphereConv2dGradients(x, input, w, weight, dy, sphere, options);
        for (const [dtype, tolerance] of [
          ['float64', 1e-11],
          ['float32', 5e-5],
        ] as const) {
          scope(() => {
            const images = tensor(x, { shape: input, dtype, requiresGrad: true });
            const filters = tensor(w, { shape: weight, dtype, requiresGrad: true });
            const result = ops.sphereConv2d(images, filters, { ...sphere, ...options });
            result.backward(tensor(dy, { shape: result.shape, dtype }));
            expect(result).toBeAllClose(y, tolerance);
            expect(images.grad?.dataSync() ?? []).toBeAllClose(dx, tolerance);
            expect(filters.grad?.dataSync() ?? []).toBeAllClose(dw, tolerance);
          });
        }
      }
    },
  );
});

describe('sphereLinear', () => {
  const sizes = fc.record({
    n: fc.integer({ min: 1, max: 5 }),
    d: fc.integer({ min: 2, max: 9 }),
    o: fc.integer({ min: 1, max: 7 }),
    seed: fc.integer({ min: 1, max: 1e6 }),
  });

  it.each(SPHERES)('with $operator, k $k is its definition and has its gradients', (sphere) => {
    fc.assert(
      fc.property(sizes, ({ n, d, o, seed }) => {
        const numbers = new Numbers(seed);
        const [x, w] = [numbers.normals(n * d), numbers.normals(o * d)];
        fc.pre(!tooParallel(x, [n, 1, 1, d], w, [o, 1, 1, d], sphere.epsilon, reference.PLAIN));
        scope(() => {
          const y = ops.sphereLinear(tensor(x, { shape: [n, d] }), tensor(w, { shape: [o, d] }), sphere);
          expect(y.shape).toEqual([n, o]);
          expect(y).toBeAllClose(
            reference.sphereConv2d(x, [n, 1, 1, d], w, [o, 1, 1, d], sphere, reference.PLAIN),
            1e-12,
          );
        });
        const inputs = [
          { shape: [n, d], data: x },
          { shape: [o, d], data: w },
        ];
        gradcheck((a, b) => ops.sphereLinear(a, b, sphere), inputs, { seed, step: 3e-6, tolerance: 1e-6 });
      }),
      settings(12),
    );
  });
});

describe('the losses', () => {
  it('refuse the squared cosine, which has no margin', () => {
    scope(() => {
      const [x, w] = [tensor([[1, 2]]), tensor([[3, 4]])];
      expect(() =>
        losses.gaSoftmax(x, w, tensor(Int32Array.of(0)), { operator: 'squaredCosine' as 'cosine' }),
      ).toThrow(
        "gaSoftmax: operator must be one of 'cosine', 'linear', 'sigmoid', got the string 'squaredCosine'",
      );
    });
  });
});
