/** The decoupled operators h(‖x‖)·g(θ) of sphereConv2d and sphereLinear. */
import fc from 'fast-check';
import { convCases, settings } from '../support/arbitraries';
import { gradcheck } from '../support/gradcheck';
import { inScope } from '../support/in_scope';
import { ops, scope, tensor } from '../support/library';
import type { FloatDType, Tensor } from '../support/library';
import { Numbers, product } from '../support/numbers';
import * as reference from '../support/reference';

type Magnitude = ops.MagnitudeFunction;
type Four = [number, number, number, number];

const MAGNITUDES: readonly Magnitude[] = ['ball', 'tanh', 'linear', 'segmented', 'logarithmic', 'mixed'];
const WITH_RADIUS: readonly Magnitude[] = ['ball', 'tanh', 'segmented'];
const DTYPES: readonly FloatDType[] = ['float32', 'float64'];

/** A float64 tensor of normal numbers. */
function normal(shape: readonly number[], seed: number, factor = 1): Tensor {
  return tensor(new Numbers(seed).normals(product(shape), factor), { shape });
}

/** Norms of the patches, one for each element of y, by their definition. */
function patchNorms(x: Float64Array, input: Four, weight: Four, p: reference.Window): Float64Array {
  const [, oh, ow, filters] = reference.outputShape(input, [weight[1], weight[2]], weight[0], p);
  const sums = new Float64Array(input[0] * oh * ow * filters).fill(1e-4);
  reference.forEachProduct(input, weight, p, (y, xi) => {
    if (xi >= 0) sums[y] = (sums[y] as number) + (x[xi] as number) ** 2;
  });
  return sums.map(Math.sqrt);
}

/** h by its definition. */
function magnitude(n: number, h: Magnitude, a: number, b: number, rho: number): number {
  if (h === 'ball') return (a * Math.min(n, rho)) / rho;
  if (h === 'tanh') return a * Math.tanh(n / rho);
  if (h === 'linear') return a * n;
  if (h === 'segmented') return n <= rho ? a * n : b * n + a * rho - b * rho;
  return (h === 'mixed' ? a * n : 0) + (h === 'mixed' ? b : a) * Math.log(1 + n);
}

/** The norm at which h has a kink may not lie where a finite difference is taken. */
function nearKink(norms: Float64Array, radii: readonly number[]): boolean {
  return norms.some((n, i) => Math.abs(n - (radii[i % radii.length] as number)) < 1e-3);
}

describe.each(MAGNITUDES)('magnitude %s', (name) => {
  const hasRadius = WITH_RADIUS.includes(name);
  const slope = name === 'segmented' || name === 'mixed' ? 0.3 : undefined;

  it('multiplies g by its definition, whatever stride, padding, dilation and groups', () => {
    fc.assert(
      fc.property(convCases, ({ input, weight, options, seed }) => {
        const numbers = new Numbers(seed);
        const [x, w] = [numbers.normals(product(input)), numbers.normals(product(weight))];
        const radii = Float64Array.from({ length: weight[0] }, () => 0.5 + 2 * numbers.uniform());
        const g = reference.sphereConv2d(x, input, w, weight, { operator: 'squaredCosine', k: 1, epsilon: 1e-4 }, options); // prettier-ignore
        const norms = patchNorms(x, input, weight, options);
        for (const count of hasRadius ? [0, 1, weight[0]] : [0]) {
          const rho = (i: number): number => (count === 0 ? 1.5 : (radii[i % count] as number));
          const expected = g.map((v, i) => v * magnitude(norms[i] as number, name, 1.2, slope ?? 0, rho(i)));
          for (const dtype of DTYPES) {
            scope(() => {
              const radius = count === 0 ? 1.5 : tensor(radii.subarray(0, count), { dtype });
              const y = ops.sphereConv2d(
                tensor(x, { shape: input, dtype }),
                tensor(w, { shape: weight, dtype }),
                {
                  operator: {
                    magnitude: name,
                    angular: 'squaredCosine',
                    scale: 1.2,
                    slope,
                    ...(hasRadius && { radius }),
                  },
                  ...options,
                },
              );
              expect(y).toBeAllClose(expected, dtype === 'float64' ? 1e-12 : 2e-5);
            });
          }
        }
      }),
      settings(20),
    );
  });

  it.each(['cosine', 'squaredCosine', 'sigmoid'] as const)(
    'with g %s has the gradients that finite differences find',
    (angular) => {
      fc.assert(
        fc.property(convCases, fc.boolean(), ({ input, weight, options, seed }, shared) => {
          const numbers = new Numbers(seed);
          const [x, w] = [numbers.normals(product(input)), numbers.normals(product(weight))];
          const radii = Array.from({ length: shared ? 1 : weight[0] }, () => 0.5 + 2 * numbers.uniform());
          const cosines = reference.sphereConv2d(x, input, w, weight, { operator: 'cosine', k: 1, epsilon: 1e-4 }, options); // prettier-ignore
          const norms = patchNorms(x, input, weight, options);
          fc.pre(angular !== 'sigmoid' || !cosines.some((c) => Math.abs(c) > 0.98));
          // A second difference of the squared cosine jumps at 0; 0 itself is what patches of padding give.
          fc.pre(angular !== 'squaredCosine' || !cosines.some((c) => c !== 0 && Math.abs(c) < 1e-4));
          fc.pre(!hasRadius || !nearKink(norms, radii));
          const inputs = [
            { shape: input, data: x },
            { shape: weight, data: w },
            ...(hasRadius ? [{ shape: [radii.length], data: Float64Array.from(radii) }] : []),
          ];
          const f = (a: Tensor, b: Tensor, radius?: Tensor): Tensor =>
            ops.sphereConv2d(a, b, {
              operator: { magnitude: name, angular, scale: 0.8, slope, ...(radius && { radius }) },
              ...(angular === 'sigmoid' && { k: 0.4 }),
              ...options,
            });
          gradcheck(f, inputs, { seed, step: 3e-6, tolerance: 2e-6 });
        }),
        settings(12),
      );
    },
  );

  it(
    'of SphereLinear is that of a 1×1 SphereConv',
    inScope(() => {
      const [x, w] = [normal([4, 7], 1), normal([3, 7], 2)];
      const operator = { magnitude: name, angular: 'linear', scale: 1.7 } as const;
      const images = ops.reshape(x, [4, 1, 1, 7]);
      const y = ops.sphereConv2d(images, ops.reshape(w, [3, 1, 1, 7]), { operator });
      expect(ops.sphereLinear(x, w, { operator })).toBeAllClose(y, 1e-14);
    }),
  );

  it.each(['bfloat16', 'float16'] as const)('is computed in float32 beside %s activations', (dtype) => {
    scope(() => {
      const make = (narrow: boolean): Tensor[] => {
        const x = ops.cast(normal([2, 6, 5, 8], 3), dtype);
        const w = tensor(new Numbers(4).normals(9 * 8 * 8, 0.2), { shape: [8, 3, 3, 8], dtype: 'float32', requiresGrad: true }); // prettier-ignore
        const radius = tensor(new Float32Array(8).fill(6), { requiresGrad: true });
        const input = narrow ? x : ops.cast(x, 'float32');
        input.requiresGrad = true;
        const y = ops.sphereConv2d(input, w, { operator: { magnitude: name, ...(hasRadius && { radius }) } });
        expect(y.dtype).toBe(narrow ? dtype : 'float32');
        y.backward(ops.cast(normal(y.shape, 5), y.dtype));
        return [y, input.grad, w.grad, ...(hasRadius ? [radius.grad] : [])] as Tensor[];
      };
      const [narrow, whole] = [make(true), make(false)];
      const unit = dtype === 'bfloat16' ? 2 ** -8 : 2 ** -11;
      narrow.forEach((t, i) => {
        expect(ops.cast(t, 'float32')).toBeAllClose(whole[i] as Tensor, 8 * unit);
      });
    });
  });
});

describe('decoupled operators', () => {
  const x = (): Tensor => normal([2, 6, 5, 4], 1);
  const w = (): Tensor => normal([5, 3, 3, 4], 2);

  it(
    'with a ball of tiny radius are a scaled SphereConv',
    inScope(() => {
      for (const angular of ['cosine', 'linear', 'sigmoid', 'squaredCosine'] as const) {
        const ball = { magnitude: 'ball', angular, radius: 1e-3, scale: 2.5 } as const;
        const y = ops.sphereConv2d(x(), w(), { operator: ball, padding: 1 });
        const g = ops.sphereConv2d(x(), w(), { operator: angular, padding: 1 });
        expect(y).toBeAllClose(ops.scale(g, 2.5), 1e-13);
      }
    }),
  );

  it(
    'segmented with slope = scale are linear, with slope 0 a ball times its radius',
    inScope(() => {
      const run = (operator: ops.DecoupledOperator): Tensor => ops.sphereConv2d(x(), w(), { operator });
      const linear = run({ magnitude: 'linear', scale: 1.4 });
      expect(run({ magnitude: 'segmented', scale: 1.4, slope: 1.4, radius: 5 })).toBeAllClose(linear, 1e-13);
      const ball = run({ magnitude: 'ball', radius: 5.5, scale: 1.4 });
      const flat = run({ magnitude: 'segmented', scale: 1.4, slope: 0, radius: 5.5 });
      expect(flat).toBeAllClose(ops.scale(ball, 5.5), 1e-13);
    }),
  );

  it(
    'linear with the cosine are the inner product with the normalised kernel',
    inScope(() => {
      const [a, b] = [normal([4, 7], 3), normal([3, 7], 4)];
      const norms = ops.sqrt(ops.sum(ops.square(b), { axes: 1, keepDims: true }));
      const y = ops.sphereLinear(a, b, { operator: { magnitude: 'linear' }, epsilon: 1e-30 });
      const products = ops.linear(a, b).dataSync();
      const expected = products.map((v, i) => v / (norms.dataSync()[i % 3] as number));
      expect(y).toBeAllClose(expected, 1e-13);
    }),
  );

  it(
    'linear grow in proportion to the input, and do not see the length of kernels',
    inScope(() => {
      const options = { operator: { magnitude: 'linear', angular: 'sigmoid' }, epsilon: 1e-30 } as const;
      const y = ops.sphereConv2d(x(), w(), options);
      expect(ops.sphereConv2d(ops.scale(x(), 3.5), w(), options)).toBeAllClose(ops.scale(y, 3.5), 1e-12);
      expect(ops.sphereConv2d(x(), ops.scale(w(), 0.02), options)).toBeAllClose(y, 1e-12);
    }),
  );

  it(
    'learn both radius and curvature, also of patches of one number',
    inScope(() => {
      const image = normal([1, 3, 3, 2], 5);
      const filters = normal([2, 1, 1, 1], 6);
      const [k, radius] = [tensor([0.4], { dtype: 'float64' }), tensor([0.8, 1.1], { dtype: 'float64' })];
      const options = { groups: 2, epsilon: 0.5 };
      const f = (a: Tensor, b: Tensor, c: Tensor, d: Tensor): Tensor =>
        ops.sphereConv2d(a, b, { operator: { magnitude: 'tanh', angular: 'sigmoid', radius: d }, k: c, ...options }); // prettier-ignore
      const data = (t: Tensor): { shape: readonly number[]; data: Float64Array } => ({
        shape: t.shape,
        data: t.dataSync() as Float64Array,
      });
      gradcheck(f, [image, filters, k, radius].map(data), { tolerance: 1e-6 });
      const single = [image, filters, k, radius].map((t) => ops.cast(t, 'float32')) as [Tensor, Tensor, Tensor, Tensor]; // prettier-ignore
      single.forEach((t) => (t.requiresGrad = true));
      const y = f(...single);
      expect(y).toBeAllClose(f(image, filters, k, radius).dataSync(), 1e-6);
      ops.sum(y).backward();
      expect(single.every((t) => t.grad !== null)).toBe(true);
    }),
  );

  it(
    'behind a batch norm in one call are the ops one after the other',
    inScope(() => {
      const operator = { magnitude: 'tanh', radius: 4 } as const;
      const norm = {
        gamma: tensor(new Float64Array(5).fill(1.5)),
        beta: tensor(new Float64Array(5).fill(0.1)),
        runningMean: tensor(new Float64Array(5)),
        runningVariance: tensor(new Float64Array(5).fill(1)),
      };
      const together = ops.sphereConv2dNorm(x(), w(), norm, { operator, norm: { relu: true } });
      const y = ops.sphereConv2d(x(), w(), { operator });
      const apart = ops.batchNorm(y, norm.gamma, norm.beta, norm.runningMean, norm.runningVariance);
      expect(together).toBeAllClose(ops.relu(apart), 1e-12);
    }),
  );
});

describe('float16 activations of decoupled operators', () => {
  it('keep gradients finite where h takes them out of the range', () => {
    scope(() => {
      // Norms of some 2000, gradients of 100: their product is beyond 65,504.
      const data = new Numbers(3).normals(4 * 3 * 3 * 8, 250);
      data.fill(0, 0, 80);
      const x = ops.cast(tensor(data, { shape: [4, 3, 3, 8] }), 'float16');
      x.requiresGrad = true;
      const w = tensor(new Numbers(4).normals(9 * 8 * 8), { shape: [8, 3, 3, 8], dtype: 'float32', requiresGrad: true }); // prettier-ignore
      const y = ops.sphereConv2d(x, w, { operator: { magnitude: 'linear' }, padding: 1 });
      y.backward(ops.cast(normal(y.shape, 5, 100), 'float16'));
      for (const t of [y, x.grad, w.grad] as Tensor[]) {
        const values = Array.from(ops.cast(t, 'float32').dataSync());
        expect(values.some((v) => v !== 0)).toBe(true);
        expect(values.findIndex((v) => !Number.isFinite(v))).toBe(-1);
      }
    });
  });
});

describe('the mean norm as unit of the radius', () => {
  it.each(DTYPES)(
    'is the mean of the batch in training and the average of means after it, in %s',
    (dtype) => {
      scope(() => {
        const average = tensor([0, 0], { dtype });
        const w = ops.cast(normal([3, 4], 2), dtype);
        const batches = [1, 2, 3].map((factor) => ops.cast(normal([5, 4], factor, factor), dtype));
        const mean = (x: Tensor): number => {
          const rows = Array.from(ops.sum(ops.square(ops.cast(x, 'float64')), { axes: 1 }).dataSync());
          return rows.reduce((sum, v) => sum + Math.sqrt(v + 1e-4), 0) / rows.length;
        };
        const run = (x: Tensor, training: boolean): Tensor =>
          ops.sphereLinear(x, w, {
            operator: { magnitude: 'tanh', radius: 0.7 },
            meanNorm: { average, training, decay: 0.9 },
          });
        const fixed = (x: Tensor, unit: number): Tensor =>
          ops.sphereLinear(x, w, { operator: { magnitude: 'tanh', radius: 0.7 * unit } });
        const tolerance = dtype === 'float64' ? 1e-12 : 1e-5;
        // Before any batch the unit is 1.
        const [first] = batches as [Tensor];
        expect(run(first, false)).toBeAllClose(fixed(first, 1), tolerance);
        let [sum, weight] = [0, 0];
        for (const x of batches) {
          expect(run(x, true)).toBeAllClose(fixed(x, mean(x)), tolerance);
          [sum, weight] = [0.9 * sum + 0.1 * mean(x), 0.9 * weight + 0.1];
        }
        expect(average).toBeAllClose([sum, weight], tolerance);
        expect(run(first, false)).toBeAllClose(fixed(first, sum / weight), tolerance);
      });
    },
  );

  it('is a constant to the gradient of the input, and a factor in that of the radius', () => {
    scope(() => {
      const [x, w] = [normal([5, 4], 1), normal([3, 4], 2)];
      const unit = 1.7;
      const average = tensor(Float64Array.of(0.5 * unit, 0.5));
      const meanNorm = { average, training: false };
      const f = (a: Tensor, radius: Tensor): Tensor =>
        ops.sphereLinear(a, w, { operator: { magnitude: 'ball', radius }, meanNorm });
      const inputs = [
        { shape: [5, 4], data: x.dataSync() as Float64Array },
        { shape: [3], data: Float64Array.of(0.6, 0.9, 1.4) },
      ];
      gradcheck(f, inputs, { tolerance: 1e-6 });
      // In training too: the same gradient as with the batch's mean as a number.
      const gradients = [true, false].map((training) => {
        const leaf = tensor(inputs[0]?.data ?? [], { shape: [5, 4], requiresGrad: true });
        const squares = Array.from(ops.sum(ops.square(x), { axes: 1 }).dataSync());
        const norms = squares.map((v) => Math.sqrt(v + 1e-4));
        const mean = norms.reduce((sum, v) => sum + v, 0) / 5;
        const y = training
          ? ops.sphereLinear(leaf, w, { operator: { magnitude: 'ball' }, meanNorm: { average } })
          : ops.sphereLinear(leaf, w, { operator: { magnitude: 'ball', radius: mean } });
        y.backward(normal([5, 3], 7));
        return (leaf.grad as Tensor).dataSync();
      });
      expect(gradients[0] ?? []).toBeAllClose(gradients[1] ?? [], 1e-12);
    });
  });
});

describe('decoupled operators refuse', () => {
  const call = (operator: unknown, more: object = {}): (() => void) => {
    const [x, w] = [tensor([[1, 2]]), tensor([[3, 4], [5, 6]])]; // prettier-ignore
    return () => ops.sphereLinear(x, w, { operator: operator as ops.AngularOperator, ...more });
  };

  it.each([
    [
      'ball',
      "sphereLinear: operator must be one of 'cosine', 'linear', 'sigmoid', 'squaredCosine' or { magnitude: 'ball' | 'tanh' | 'linear' | 'segmented' | 'logarithmic' | 'mixed' }, got the string 'ball'",
    ],
    [
      { magnitude: 'sphere' },
      "sphereLinear: operator.magnitude must be one of 'ball', 'tanh', 'linear', 'segmented', 'logarithmic', 'mixed', got the string 'sphere'",
    ],
    [{ magnitude: 'ball', angular: 'arc' }, "operator.angular must be one of 'cosine', 'linear'"],
    [{ magnitude: 'ball', scale: 0 }, 'operator.scale must be a number above 0, got 0'],
    [{ magnitude: 'mixed', slope: -1 }, 'operator.slope must be a number of at least 0, got -1'],
    [
      { magnitude: 'linear', slope: 1 },
      "operator.slope must be left out, because magnitude 'linear' has no slope, got 1",
    ],
    [
      { magnitude: 'logarithmic', radius: 1 },
      "operator.radius must be left out, because magnitude 'logarithmic' has no radius, got 1",
    ],
    [{ magnitude: 'tanh', radius: 0 }, 'operator.radius must be a number above 0 or a tensor, got 0'],
    [{ magnitude: 'tanh', radius: 'learnable' }, 'operator.radius must be a number above 0 or a tensor'],
  ])('%j', (operator, message) => {
    scope(() => {
      expect(call(operator)).toThrow(message);
    });
  });

  it('radii of another shape, and a unit without a radius', () => {
    scope(() => {
      const average = tensor([0, 0]);
      expect(call({ magnitude: 'ball', radius: tensor([1, 2, 3]) })).toThrow('of shape [2] or [1]');
      expect(call({ magnitude: 'linear' }, { meanNorm: { average } })).toThrow(
        "meanNorm must be left out, because magnitude 'linear' has no radius",
      );
      expect(call('cosine', { meanNorm: { average } })).toThrow('has no radius');
      expect(call({ magnitude: 'ball' }, { meanNorm: { average, decay: 2 } })).toThrow('from 0 to 1');
      expect(call({ magnitude: 'ball' }, { meanNorm: { average: tensor([0]) } })).toThrow('of shape [2]');
    });
  });
});
