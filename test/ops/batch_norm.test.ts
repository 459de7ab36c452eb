import fc from 'fast-check';
import { seeds, settings, shapes } from '../support/arbitraries';
import { gradcheck } from '../support/gradcheck';
import { inScope } from '../support/in_scope';
import { ops, scope, tensor } from '../support/library';
import type { Tensor } from '../support/library';
import { Numbers, product } from '../support/numbers';

function statistics(
  x: Float64Array,
  channels: number,
): { mean: Float64Array; variance: Float64Array; count: number } {
  const count = x.length / channels;
  const mean = new Float64Array(channels);
  const variance = new Float64Array(channels);
  x.forEach((v, i) => (mean[i % channels] = (mean[i % channels] as number) + v / count));
  x.forEach(
    (v, i) =>
      (variance[i % channels] =
        (variance[i % channels] as number) + (v - (mean[i % channels] as number)) ** 2 / count),
  );
  return { mean, variance, count };
}

function normalised(
  x: Float64Array,
  mean: Float64Array,
  variance: Float64Array,
  gamma: Float64Array,
  beta: Float64Array,
  epsilon: number,
): Float64Array {
  const C = mean.length;
  return x.map((v, i) => {
    const c = i % C;
    return (
      ((gamma[c] as number) * (v - (mean[c] as number))) / Math.sqrt((variance[c] as number) + epsilon) +
      (beta[c] as number)
    );
  });
}

/** Running statistics that nobody looks at. */
function running(channels: number): [Tensor, Tensor] {
  return [tensor(new Float64Array(channels)), tensor(new Float64Array(channels).fill(1))];
}

describe('batchNorm in training', () => {
  it('normalises by the batch and moves the running statistics', () => {
    fc.assert(
      fc.property(shapes(1, 3, 5), fc.integer({ min: 1, max: 7 }), seeds, (leading, channels, seed) => {
        const shape = [2, ...leading, channels];
        const numbers = new Numbers(seed);
        const x = numbers.normals(product(shape)).map((v) => 3 * v + 2);
        const [gamma, beta] = [numbers.normals(channels), numbers.normals(channels)];
        const { mean, variance, count } = statistics(x, channels);
        for (const [dtype, tolerance] of [
          ['float64', 1e-12],
          ['float32', 1e-5],
        ] as const) {
          scope(() => {
            const [m, v] = [
              tensor(new Float64Array(channels).fill(0.5), { dtype }),
              tensor(new Float64Array(channels).fill(2), { dtype }),
            ];
            const y = ops.batchNorm(
              tensor(x, { shape, dtype }),
              tensor(gamma, { dtype }),
              tensor(beta, { dtype }),
              m,
              v,
              { momentum: 0.25, epsilon: 1e-3 },
            );
            expect(y).toBeAllClose(normalised(x, mean, variance, gamma, beta, 1e-3), tolerance);
            expect(m).toBeAllClose(
              mean.map((s) => 0.75 * 0.5 + 0.25 * s),
              tolerance,
            );
            expect(v).toBeAllClose(
              variance.map((s) => 0.75 * 2 + (0.25 * s * count) / (count - 1)),
              tolerance,
            );
          });
        }
      }),
      settings(20),
    );
  });

  it('has the gradients that finite differences find', () => {
    fc.assert(
      fc.property(shapes(1, 3, 4), fc.integer({ min: 1, max: 5 }), seeds, (leading, channels, seed) => {
        const shape = [3, ...leading, channels];
        const f = (x: Tensor, gamma: Tensor, beta: Tensor): Tensor =>
          ops.batchNorm(x, gamma, beta, ...running(channels), { epsilon: 0.1 });
        gradcheck(f, [{ shape }, { shape: [channels] }, { shape: [channels] }], { seed, tolerance: 1e-6 });
      }),
      settings(15),
    );
  });

  it.each([
    [4, 3],
    [1000, 300],
    [70_000, 2],
  ])('of %i rows and %i channels keeps float32 precision around a large mean', (rows, channels) => {
    scope(() => {
      const x = new Numbers(2).normals(rows * channels).map((v) => Math.fround(1000 + v));
      const { mean, variance } = statistics(x, channels);
      const one = new Float64Array(channels).fill(1);
      const options = { dtype: 'float32' } as const;
      const y = ops.batchNorm(
        tensor(x, { shape: [rows, channels], ...options }),
        tensor(one, options),
        tensor(one, options),
        tensor(one, options),
        tensor(one, options),
      );
      expect(y).toBeAllClose(normalised(x, mean, variance, one, one, 1e-5), 2e-4);
    });
  });

  it(
    'of a single value per channel leaves no NaN behind',
    inScope(() => {
      const x = tensor([[3, -4]], { requiresGrad: true });
      const [gamma, beta, m, v] = [
        tensor([1, 1]),
        tensor([0.5, 0.25]),
        tensor([0, 0]),
        tensor([1, 1]),
      ] as const;
      const y = ops.batchNorm(x, gamma, beta, m, v);
      ops.sum(ops.square(y)).backward();
      expect(y).toBeAllClose([0.5, 0.25], 1e-6);
      for (const t of [m, v, x.grad as Tensor]) expect(t.dataSync().every(Number.isFinite)).toBe(true);
    }),
  );

  it(
    'of constant channels gives beta and finite gradients',
    inScope(() => {
      const x = tensor(new Float32Array(24).fill(7), { shape: [2, 2, 2, 3], requiresGrad: true });
      const [one, zero] = [tensor([1, 1, 1]), tensor([0, 0, 0])];
      const y = ops.batchNorm(x, one, tensor([1, 2, 3]), zero, tensor([1, 1, 1]));
      y.backward(
        tensor(
          new Float32Array(24).map((_, i) => i),
          { shape: [2, 2, 2, 3] },
        ),
      );
      expect(y).toBeAllClose(
        new Float32Array(24).map((_, i) => 1 + (i % 3)),
        1e-6,
      );
      expect((x.grad as Tensor).dataSync().every(Number.isFinite)).toBe(true);
    }),
  );
});

describe('batchNorm in inference', () => {
  it('normalises by the running statistics, leaves them alone, and has the gradients that finite differences find', () => {
    fc.assert(
      fc.property(shapes(1, 3, 4), fc.integer({ min: 1, max: 5 }), seeds, (leading, channels, seed) => {
        const shape = [...leading, channels];
        const numbers = new Numbers(seed);
        const mean = numbers.normals(channels);
        const variance = numbers.normals(channels).map(Math.abs);
        const f = (x: Tensor, gamma: Tensor, beta: Tensor): Tensor =>
          ops.batchNorm(x, gamma, beta, tensor(mean), tensor(variance), { training: false, epsilon: 0.01 });
        gradcheck(f, [{ shape }, { shape: [channels] }, { shape: [channels] }], { seed });
        scope(() => {
          const x = numbers.normals(product(shape));
          const one = new Float64Array(channels).fill(1);
          const [m, v] = [tensor(mean), tensor(variance)];
          const y = ops.batchNorm(tensor(x, { shape }), tensor(one), tensor(one), m, v, {
            training: false,
            epsilon: 0.01,
          });
          expect(y).toBeAllClose(normalised(x, mean, variance, one, one, 0.01), 1e-13);
          expect([m.dataSync(), v.dataSync()]).toEqual([mean, variance]);
        });
      }),
      settings(15),
    );
  });
});
