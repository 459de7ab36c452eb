/** SphereConv, batch norm and ReLU as one op against the three ops one after the other. */
import fc from 'fast-check';
import { seeds, settings } from '../support/arbitraries';
import { gradcheck } from '../support/gradcheck';
import { memory, noGrad, ops, scope, tensor } from '../support/library';
import type { Tensor } from '../support/library';
import { Numbers, product } from '../support/numbers';

const OPERATORS = ['cosine', 'linear', 'sigmoid', 'squaredCosine'] as const;

type DType = 'float32' | 'float64';

/** Tensors of a normalisation over `channels`, gamma and beta away from their defaults. */
function normTensors(numbers: Numbers, channels: number, dtype: DType): ops.NormTensors {
  const draw = (mean: number): Tensor =>
    tensor(
      numbers.normals(channels).map((v) => mean + 0.3 * v),
      { dtype, requiresGrad: true },
    );
  const constant = (value: number): Tensor => tensor(new Float64Array(channels).fill(value), { dtype });
  return { gamma: draw(1), beta: draw(0), runningMean: constant(0), runningVariance: constant(1) };
}

interface Result {
  output: Float64Array;
  gradients: Float64Array[];
  running: Float64Array[];
}

const doubles = (t: Tensor): Float64Array => Float64Array.from(t.dataSync() as Float64Array);

describe('sphereConv2dNorm', () => {
  it('is batchNorm of sphereConv2d, and its gradient', () => {
    fc.assert(
      fc.property(
        seeds,
        fc.constantFrom(...OPERATORS),
        fc.boolean(),
        fc.constantFrom<DType>('float32', 'float64'),
        fc.integer({ min: 1, max: 2 }),
        (seed, operator, relu, dtype, groups) => {
          const run = (fused: boolean): Result =>
            scope(() => {
              const numbers = new Numbers(seed);
              const draw = (shape: number[]): Tensor =>
                tensor(numbers.normals(product(shape)), { shape, dtype, requiresGrad: true });
              const [x, w] = [draw([2, 5, 6, 4]), draw([6, 3, 3, 4 / groups])];
              const norm = normTensors(numbers, 6, dtype);
              const k = tensor(numbers.normals(6).map((v) => 0.4 + 0.1 * Math.tanh(v)), { dtype, requiresGrad: true }); // prettier-ignore
              const options = { operator, padding: 1, groups, ...(operator === 'sigmoid' && { k }) };
              const { gamma, beta, runningMean, runningVariance } = norm;
              let y: Tensor;
              if (fused) {
                y = ops.sphereConv2dNorm(x, w, norm, { ...options, norm: { relu } });
              } else {
                y = ops.batchNorm(ops.sphereConv2d(x, w, options), gamma, beta, runningMean, runningVariance);
                if (relu) y = ops.relu(y);
              }
              y.backward(tensor(numbers.normals(y.size), { shape: y.shape, dtype }));
              const leaves = [x, w, gamma, beta, ...(operator === 'sigmoid' ? [k] : [])];
              const gradients = leaves.map((leaf) => doubles(leaf.grad as Tensor));
              return { output: doubles(y), gradients, running: [runningMean, runningVariance].map(doubles) };
            });
          const [one, three] = [run(true), run(false)];
          // A value that the ReLU cuts off in one and lets through in the other is as small as the rounding.
          const tolerance = dtype === 'float64' ? 1e-10 : 3e-4;
          expect(one.output).toBeAllClose(three.output, tolerance);
          one.gradients.forEach((gradient, i) => {
            expect(gradient).toBeAllClose(three.gradients[i] as Float64Array, tolerance);
          });
          one.running.forEach((values, i) => {
            expect(values).toBeAllClose(three.running[i] as Float64Array, tolerance);
          });
        },
      ),
      settings(40),
    );
  });

  it.each(OPERATORS)('has the gradient of finite differences, operator %s', (operator) => {
    scope(() => {
      const running = {
        runningMean: tensor(new Float64Array(5)),
        runningVariance: tensor(new Float64Array(5).fill(1)),
      };
      gradcheck(
        (x, w, gamma, beta) =>
          ops.sphereConv2dNorm(x, w, { gamma, beta, ...running }, { operator, stride: 2, padding: 1 }), // prettier-ignore
        [{ shape: [2, 6, 5, 3] }, { shape: [5, 3, 3, 3] }, { shape: [5] }, { shape: [5] }],
        { tolerance: 1e-6 },
      );
    });
  });

  it('computes patches of one number as precisely as sphereConv2d does', () => {
    scope(() => {
      const numbers = new Numbers(3);
      const [x, w] = [
        tensor(numbers.normals(12), { shape: [12, 1], dtype: 'float32' }),
        tensor([[0.7], [-0.2]]),
      ];
      const norm = normTensors(numbers, 2, 'float32');
      const fused = ops.sphereLinearNorm(x, w, norm, { operator: 'linear' });
      const { gamma, beta, runningMean, runningVariance } = norm;
      const separate = ops.batchNorm(ops.sphereLinear(x, w, { operator: 'linear' }), gamma, beta, runningMean, runningVariance); // prettier-ignore
      expect(doubles(fused)).toBeAllClose(doubles(separate), 1e-6);
    });
  });

  it('leaves the scope nothing but its output', () => {
    scope(() => {
      const numbers = new Numbers(4);
      const dtype = 'float32';
      const x = tensor(numbers.normals(2 * 5 * 5 * 3), { shape: [2, 5, 5, 3], dtype });
      const w = tensor(numbers.normals(4 * 3 * 3 * 3), { shape: [4, 3, 3, 3], dtype, requiresGrad: true });
      const norm = normTensors(numbers, 4, dtype);
      const before = memory();
      const z = noGrad(() => ops.sphereConv2dNorm(x, w, norm, { padding: 1 }));
      expect(memory().tensors).toBe(before.tensors + 1);
      expect(memory().bytes).toBe(before.bytes + 4 * z.size);
      // What backward() needs goes with it, though the scope is still open.
      const recorded = ops.sphereConv2dNorm(x, w, norm, { padding: 1 });
      recorded.backward(z);
      for (const each of [z, recorded]) each.dispose();
      for (const each of [w, norm.gamma, norm.beta]) each.zeroGrad();
      expect(memory()).toMatchObject({ tensors: before.tensors, bytes: before.bytes });
    });
  });

  it('names what is wrong', () => {
    scope(() => {
      const norm = normTensors(new Numbers(1), 6, 'float32');
      const x = tensor(new Float32Array(2 * 4 * 4 * 3), { shape: [2, 4, 4, 3] });
      const w = tensor(new Float32Array(5 * 3 * 3 * 3), { shape: [5, 3, 3, 3] });
      expect(() => ops.sphereConv2dNorm(x, w, norm)).toThrow(/sphereConv2dNorm: gamma must be .*\[5\]/);
    });
  });
});
