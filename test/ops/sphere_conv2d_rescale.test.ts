/** SphereConv with SphereNorm and ReLU as one op, and with batch norm's running statistics, against op after op. */
import fc from 'fast-check';
import { seeds, settings } from '../support/arbitraries';
import { gradcheck } from '../support/gradcheck';
import { memory, noGrad, ops, scope, tensor } from '../support/library';
import type { Tensor } from '../support/library';
import { Numbers, product } from '../support/numbers';

const OPERATORS = ['cosine', 'linear', 'sigmoid', 'squaredCosine'] as const;

interface Result {
  output: Float64Array;
  gradients: Float64Array[];
}

const doubles = (t: Tensor): Float64Array => Float64Array.from(t.dataSync() as Float64Array);

describe('sphereConv2d with rescale and relu', () => {
  it('is SphereNorm and ReLU of sphereConv2d, and their gradient, whichever inputs ask for one', () => {
    fc.assert(
      fc.property(
        seeds,
        fc.constantFrom(...OPERATORS),
        fc.boolean(),
        fc.boolean(),
        fc.boolean(),
        fc.constantFrom('float32', 'float64'),
        fc.integer({ min: 1, max: 2 }),
        (seed, operator, rescales, relu, needsX, dtype, groups) => {
          const run = (fused: boolean): Result =>
            scope(() => {
              const numbers = new Numbers(seed);
              const draw = (shape: number[], mean = 0, requiresGrad = true): Tensor =>
                tensor(
                  numbers.normals(product(shape)).map((v) => mean + v),
                  { shape, dtype, requiresGrad },
                );
              const [x, w] = [draw([2, 5, 6, 4], 0, needsX), draw([6, 3, 3, 4 / groups])];
              const [beta, gamma] = [draw([6], 1), draw([6])];
              const k = tensor(numbers.normals(6).map((v) => 0.4 + 0.1 * Math.tanh(v)), { dtype, requiresGrad: true }); // prettier-ignore
              const options = { operator, padding: 1, groups, ...(operator === 'sigmoid' && { k }) };
              let z: Tensor;
              if (fused) {
                z = ops.sphereConv2d(x, w, {
                  ...options,
                  relu,
                  ...(rescales && { rescale: { beta, gamma } }),
                });
              } else {
                z = ops.sphereConv2d(x, w, options);
                if (rescales) z = ops.add(ops.mul(z, beta), gamma);
                if (relu) z = ops.relu(z);
              }
              z.backward(tensor(numbers.normals(z.size), { shape: z.shape, dtype }));
              const leaves = [
                ...(needsX ? [x] : []),
                w,
                ...(rescales ? [beta, gamma] : []),
                ...(operator === 'sigmoid' ? [k] : []),
              ];
              return { output: doubles(z), gradients: leaves.map((leaf) => doubles(leaf.grad as Tensor)) };
            });
          const [one, several] = [run(true), run(false)];
          // A value that the ReLU cuts off in one and lets through in the other is as small as the rounding.
          const tolerance = dtype === 'float64' ? 1e-10 : 3e-4;
          expect(one.output).toBeAllClose(several.output, tolerance);
          one.gradients.forEach((gradient, i) => {
            expect(gradient).toBeAllClose(several.gradients[i] as Float64Array, tolerance);
          });
        },
      ),
      settings(60),
    );
  });

  it.each(OPERATORS)('has the gradient of finite differences, operator %s', (operator) => {
    scope(() => {
      gradcheck(
        (x, w, beta, gamma) =>
          ops.sphereConv2d(x, w, { operator, stride: 2, padding: 1, rescale: { beta, gamma } }),
        [{ shape: [2, 6, 5, 3] }, { shape: [5, 3, 3, 3] }, { shape: [5] }, { shape: [5] }],
        { tolerance: 1e-6 },
      );
    });
  });

  it('gives filters the same gradient whether the input asks for one or not', () => {
    scope(() => {
      const numbers = new Numbers(11);
      const shapes = [
        [3, 9, 8, 3],
        [70, 3, 3, 3],
      ] as const;
      const [image, filters] = shapes.map((shape) => numbers.normals(product([...shape])));
      const gradientOf = (requiresGrad: boolean): Float64Array =>
        scope(() => {
          const x = tensor(image as Float64Array, { shape: shapes[0], dtype: 'float32', requiresGrad });
          const w = tensor(filters as Float64Array, {
            shape: shapes[1],
            dtype: 'float32',
            requiresGrad: true,
          });
          const y = ops.sphereConv2d(x, w, { operator: 'linear', padding: 1 });
          y.backward(tensor(new Numbers(12).normals(y.size), { shape: y.shape, dtype: 'float32' }));
          return doubles(w.grad as Tensor);
        });
      expect(gradientOf(false)).toBeAllClose(gradientOf(true), 1e-4);
    });
  });

  it.each(['bfloat16', 'float16'] as const)('computes in %s as op after op does', (dtype) => {
    scope(() => {
      const numbers = new Numbers(7);
      const draw = (shape: number[]): Tensor =>
        tensor(numbers.normals(product(shape)), { shape, dtype: 'float32' });
      const [x, w] = [ops.cast(draw([2, 6, 6, 8]), dtype), draw([8, 3, 3, 8])];
      const rescale = { beta: draw([8]), gamma: draw([8]) };
      const together = ops.sphereConv2d(x, w, { rescale, relu: true });
      const angles = ops.cast(ops.sphereConv2d(x, w), 'float32');
      const apart = ops.relu(ops.add(ops.mul(angles, rescale.beta), rescale.gamma));
      expect(together.dtype).toBe(dtype);
      expect(ops.cast(together, 'float32')).toBeAllClose(apart, dtype === 'bfloat16' ? 1e-2 : 2e-3);
    });
  });

  it('computes decoupled operators and patches of one number op after op', () => {
    scope(() => {
      const numbers = new Numbers(5);
      const draw = (shape: number[]): Tensor =>
        tensor(numbers.normals(product(shape)), { shape, dtype: 'float32' });
      const [x, w] = [draw([2, 4, 4, 3]), draw([5, 3, 3, 3])];
      const rescale = { beta: draw([5]), gamma: draw([5]) };
      const operator = { magnitude: 'tanh' } as const;
      const apart = ops.add(ops.mul(ops.sphereConv2d(x, w, { operator }), rescale.beta), rescale.gamma);
      expect(ops.sphereConv2d(x, w, { operator, rescale })).toBeAllClose(apart, 1e-6);
      const [one, single] = [draw([6, 1]), draw([5, 1])];
      const linear = ops.sphereLinear(one, single, { rescale, relu: true });
      const wanted = ops.relu(ops.add(ops.mul(ops.sphereLinear(one, single), rescale.beta), rescale.gamma));
      expect(linear).toBeAllClose(wanted, 1e-6);
    });
  });

  it('takes memory for its output only where no gradient is recorded', () => {
    scope(() => {
      const numbers = new Numbers(4);
      const x = tensor(numbers.normals(2 * 5 * 5 * 3), { shape: [2, 5, 5, 3], dtype: 'float32' });
      const w = tensor(numbers.normals(4 * 27), {
        shape: [4, 3, 3, 3],
        dtype: 'float32',
        requiresGrad: true,
      });
      const [beta, gamma] = [tensor([1, 2, 3, 4]), tensor([0, 1, 2, 3])];
      const before = memory();
      const kept = noGrad(() =>
        scope(() => ops.sphereConv2d(x, w, { padding: 1, rescale: { beta, gamma } })),
      );
      expect(memory().bytes).toBe(before.bytes + 4 * kept.size);
    });
  });

  it('keeps NaN, and lets nothing of it through the gradient', () => {
    scope(() => {
      const numbers = new Numbers(6);
      const values = numbers.normals(2 * 4 * 4 * 3);
      values[0] = NaN;
      const x = tensor(values, { shape: [2, 4, 4, 3], dtype: 'float32' });
      const w = tensor(numbers.normals(4 * 27), {
        shape: [4, 3, 3, 3],
        dtype: 'float32',
        requiresGrad: true,
      });
      const y = ops.sphereConv2d(x, w, { padding: 1, relu: true });
      expect(doubles(y)[0]).toBeNaN();
      y.backward(tensor(numbers.normals(y.size), { shape: y.shape, dtype: 'float32' }));
      expect(doubles(w.grad as Tensor).every(Number.isFinite)).toBe(true);
    });
  });

  it('says what is wrong with a rescaling', () => {
    scope(() => {
      const numbers = new Numbers(8);
      const x = tensor(numbers.normals(48), { shape: [1, 4, 4, 3], dtype: 'float32' });
      const w = tensor(numbers.normals(108), { shape: [4, 3, 3, 3], dtype: 'float32' });
      const rescale = { beta: tensor([1, 2, 3]), gamma: tensor([1, 2, 3, 4]) };
      expect(() => ops.sphereConv2d(x, w, { rescale })).toThrow(
        'sphereConv2d: rescale.beta must be of shape [4]',
      );
    });
  });
});

describe('sphereConv2dNorm by running statistics', () => {
  it.each(['float32', 'bfloat16'] as const)('is batchNorm of sphereConv2d in inference, %s', (dtype) => {
    scope(() => {
      const numbers = new Numbers(9);
      const draw = (shape: number[], map = (v: number): number => v): Tensor =>
        tensor(numbers.normals(product(shape)).map(map), { shape, dtype: 'float32' });
      const [x, w] = [ops.cast(draw([2, 6, 6, 8]), dtype), draw([16, 3, 3, 8])];
      const tensors = {
        gamma: draw([16]),
        beta: draw([16]),
        runningMean: draw([16], (v) => 0.1 * v),
        runningVariance: draw([16], (v) => 0.01 + v * v),
      };
      const { gamma, beta, runningMean, runningVariance } = tensors;
      for (const relu of [false, true]) {
        const norm = { training: false, epsilon: 1e-3, relu };
        const together = ops.sphereConv2dNorm(x, w, tensors, { operator: 'linear', norm });
        const apart = ops.batchNorm(ops.sphereConv2d(x, w, { operator: 'linear' }), gamma, beta, runningMean, runningVariance, norm); // prettier-ignore
        const tolerance = dtype === 'float32' ? 1e-5 : 2e-2;
        expect(ops.cast(together, 'float32')).toBeAllClose(ops.cast(apart, 'float32'), tolerance);
      }
    });
  });
});
