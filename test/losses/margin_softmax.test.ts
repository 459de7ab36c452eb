import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { seeds, settings } from '../support/arbitraries';
import { gradcheck } from '../support/gradcheck';
import { ops, scope, tensor } from '../support/library';
import type { Tensor } from '../support/library';
import { apply, each, evaluated, VARIANTS } from '../support/margin_losses';
import type { Name, Options } from '../support/margin_losses';
import { Numbers } from '../support/numbers';

interface Fixture {
  name: string;
  loss: Name | 'gaSoftmax';
  options: Options;
  inputs: Record<'features' | 'weight' | 'labels', { shape: number[]; data: number[] }>;
  output: number;
  gradients: Record<'features' | 'weight', { data: number[] }>;
}

/** Made by test/fixtures/margin_reference.py. */
const { cases } = JSON.parse(readFileSync(join(__dirname, '../fixtures/margins.json'), 'utf8')) as {
  cases: Fixture[];
};

describe.each([
  ['float64', 1e-9],
  ['float32', 1e-4],
] as const)('in %s the definition holds to %p', (dtype, tolerance) => {
  it.each(cases.map((fixture) => [fixture.name, fixture] as const))('for %s', (_, fixture) => {
    const { features, weight, labels } = fixture.inputs;
    const shape = [...features.shape, weight.shape[0]] as [number, number, number];
    const { loss, dx, dw } = evaluated(
      fixture.loss,
      [features.data, weight.data],
      shape,
      Int32Array.from(labels.data),
      fixture.options,
      dtype,
    );
    expect([loss]).toBeAllClose([fixture.output], tolerance);
    expect(dx).toBeAllClose(fixture.gradients.features.data, tolerance);
    expect(dw).toBeAllClose(fixture.gradients.weight.data, tolerance);
  });
});

const random = fc.record({
  n: fc.integer({ min: 1, max: 4 }),
  d: fc.integer({ min: 3, max: 7 }),
  classes: fc.integer({ min: 1, max: 6 }),
  labelSmoothing: fc.constantFrom(0, 0.1),
  seed: seeds,
});

describe('the gradients are those that finite differences find', () => {
  const differentiable: readonly (readonly [Name | 'gaSoftmax', Options])[] = [
    ['gaSoftmax', { margin: 4, lambda: 3 }],
    ['gaSoftmax', { margin: 2.5, lambda: 0.2, operator: 'linear' }],
    ...VARIANTS.filter(([, options]) => options.detach !== true),
  ];
  it.each(differentiable.map((v) => [`${v[0]} ${JSON.stringify(v[1])}`, ...v] as const))(
    'for %s',
    (_, name, given) => {
      // A scale at which the softmax is not so steep that differences of 1e-6 are coarse.
      const free = name === 'gaSoftmax' || given.features === 'none';
      const options: Options = free ? given : { scale: 4, ...given };
      const bend = { normFace: 1, cosFace: 1, arcFace: 1, sphereFace: 1.7, sphereFaceR: 1.5, gaSoftmax: 4 }[
        name
      ];
      const m = name === 'arcFace' ? 1 : (given.margin ?? bend);
      fc.assert(
        fc.property(random, ({ n, d, classes, labelSmoothing, seed }) => {
          const numbers = new Numbers(seed);
          const [x, w] = [numbers.normals(n * d), numbers.normals(classes * d)];
          const labels = numbers.labels(n, classes);
          fc.pre(smooth(x, w, d, m));
          const inputs = [
            { shape: [n, d], data: x },
            { shape: [classes, d], data: w },
          ];
          const f = (...tensors: Tensor[]): Tensor =>
            apply(name, tensors, labels, { ...options, labelSmoothing });
          gradcheck(f, inputs, { seed, step: 1e-6, tolerance: 1e-5 });
        }),
        settings(12),
      );
    },
  );
});

/** Whether no angle is near a border between two pieces, an end of its range, or ArcFace's π − m. */
function smooth(x: Float64Array, w: Float64Array, d: number, m: number): boolean {
  for (let i = 0; i < x.length; i += d) {
    for (let j = 0; j < w.length; j += d) {
      let [dot, xx, ww] = [0, 0, 0];
      for (let l = 0; l < d; ++l) {
        const [a, b] = [x[i + l] as number, w[j + l] as number];
        [dot, xx, ww] = [dot + a * b, xx + a * a, ww + b * b];
      }
      const theta = Math.acos(dot / Math.sqrt(xx * ww));
      const piece = (m * theta) / Math.PI;
      if (Math.abs(piece - Math.round(piece)) < 1e-3 || Math.abs(theta + 0.5 - Math.PI) < 1e-3) return false;
      if (Math.abs(Math.sin(theta)) < 0.02) return false;
    }
  }
  return true;
}

/** Some features and weights of two sizes. */
function sample(seed: number): {
  shape: [number, number, number];
  data: [Float64Array, Float64Array];
  labels: Int32Array;
} {
  const numbers = new Numbers(seed);
  const shape: [number, number, number] = [6, 5, 4];
  const data: [Float64Array, Float64Array] = [numbers.normals(30, 3), numbers.normals(20)];
  return { shape, data, labels: numbers.labels(6, 4) };
}

describe('no margin', () => {
  const { shape, data, labels } = sample(1);
  const plain = evaluated('normFace', data, shape, labels, { scale: 7 });

  it.each([
    ['cosFace', { margin: 0 }],
    ['arcFace', { margin: 0, detach: true }],
    ['arcFace', { margin: 0, detach: false }],
    ['sphereFace', { margin: 1, detach: true }],
    ['sphereFace', { margin: 1, detach: false }],
    ...(['v0', 'v1', 'v2'] as const).flatMap((version) =>
      [true, false].map((detach) => ['sphereFaceR', { version, detach, margin: 1, lossWeight: 7 }] as const),
    ),
  ] as readonly (readonly [Name, Options])[])('makes %s %j NormFace', (name, options) => {
    const { loss, dx, dw } = evaluated(name, data, shape, labels, { ...options, scale: 7 });
    expect(loss).toBeCloseTo(plain.loss, 12);
    expect(dx).toBeAllClose(plain.dx, 1e-12);
    expect(dw).toBeAllClose(plain.dw, 1e-12);
  });

  it('is what a large λ leaves of GA-Softmax', () => {
    for (const operator of ['cosine', 'linear', 'sigmoid'] as const) {
      const without = evaluated('gaSoftmax', data, shape, labels, { operator, margin: 1 });
      const annealed = evaluated('gaSoftmax', data, shape, labels, { operator, margin: 4, lambda: 1e12 });
      expect(annealed.loss).toBeCloseTo(without.loss, 9);
      expect(annealed.dx).toBeAllClose(without.dx, 1e-9);
      expect(annealed.dw).toBeAllClose(without.dw, 1e-9);
    }
  });

  it('with ‖x‖ as the scale makes SphereFace-R of all versions W-Softmax', () => {
    const softmax = evaluated('gaSoftmax', data, shape, labels, { epsilon: 1e-12 });
    for (const version of ['v0', 'v1', 'v2'] as const) {
      const options = { version, features: 'none', margin: 1, detach: false } as const;
      const { loss, dx } = evaluated('sphereFaceR', data, shape, labels, options);
      expect(loss).toBeCloseTo(softmax.loss, 12);
      expect(dx).toBeAllClose(softmax.dx, 1e-12);
    }
  });
});

describe('a margin', () => {
  const { shape, data, labels } = sample(2);
  const value = (name: Name | 'gaSoftmax', options: Options): number =>
    evaluated(name, data, shape, labels, options).loss;

  it('never makes a loss smaller', () => {
    const plain = value('normFace', { scale: 7 });
    for (const margin of [0.1, 0.35, 1, 4]) {
      expect(value('cosFace', { scale: 7, margin })).toBeGreaterThan(plain);
      expect(value('arcFace', { scale: 7, margin })).toBeGreaterThan(plain);
      expect(value('sphereFace', { scale: 7, margin: 1 + margin })).toBeGreaterThan(plain);
      for (const version of ['v0', 'v1', 'v2'] as const) {
        const options = { version, scale: 7, lossWeight: 7, margin: 1 + margin };
        expect(value('sphereFaceR', options)).toBeGreaterThan(plain);
      }
    }
  });

  it('counts less the larger λ is', () => {
    for (const operator of ['cosine', 'linear', 'sigmoid'] as const) {
      const values = [0, 0.5, 5, 100].map((lambda) => value('gaSoftmax', { operator, margin: 4, lambda }));
      for (let i = 1; i < values.length; ++i) expect(values[i]).toBeLessThan(values[i - 1] as number);
      expect(values.at(-1)).toBeGreaterThan(value('gaSoftmax', { operator }));
    }
  });

  it('is the same in value whether detached or not', () => {
    for (const [name, options] of VARIANTS) {
      if (options.detach !== true) continue;
      const { loss, dx } = evaluated(name, data, shape, labels, options);
      const attached = evaluated(name, data, shape, labels, { ...options, detach: false });
      expect(loss).toBe(attached.loss);
      expect(dx).not.toEqual(attached.dx);
    }
  });
});

describe('with a fixed scale', () => {
  const { shape, data, labels } = sample(3);

  it.each(each.filter(([, , { features = 'hard' }]) => features === 'hard'))(
    '%s sees directions only',
    (_, name, options) => {
      const { loss, dx, dw } = evaluated(name, data, shape, labels, options);
      const longer = [data[0].map((v) => 12 * v), data[1].map((v) => v / 5)] as [Float64Array, Float64Array];
      expect(evaluated(name, longer, shape, labels, options).loss).toBeCloseTo(loss, 9);
      const largest = Math.max(...dx.map(Math.abs));
      for (let i = 0; i < dx.length; i += 5) {
        const along = dx.subarray(i, i + 5).reduce((sum, v, j) => sum + v * (data[0][i + j] as number), 0);
        expect(Math.abs(along)).toBeLessThan(1e-10 * largest);
      }
      expect(dw.every(Number.isFinite)).toBe(true);
    },
  );
});

it('one feature has the logits ±‖x‖', () => {
  scope(() => {
    const x = tensor(Float64Array.of(2, -3), { shape: [2, 1] });
    const w = tensor(Float64Array.of(5, -0.5), { shape: [2, 1] });
    const labels = Int32Array.of(0, 0);
    const logits = tensor(Float64Array.of(2, -2, -3, 3), { shape: [2, 2] });
    const expected = ops.softmaxCrossEntropy(logits, tensor(labels)).itemSync();
    expect(apply('gaSoftmax', [x, w], labels, { epsilon: 1e-30 }).itemSync()).toBeCloseTo(expected, 12);
    const free = { features: 'none', margin: 1 } as const;
    expect(apply('sphereFaceR', [x, w], labels, free).itemSync()).toBeCloseTo(expected, 10);
  });
});

it('16-bit features have a float32 loss, as of the same numbers in float32', () => {
  const { shape, data, labels } = sample(4);
  scope(() => {
    for (const [name, options] of VARIANTS) {
      const half = ops.cast(tensor(data[0], { shape: [6, 5], dtype: 'float32' }), 'bfloat16');
      const w = tensor(data[1], { shape: [shape[2], 5], dtype: 'float32' });
      const loss = apply(name, [half, w], labels, options);
      expect(loss.dtype).toBe('float32');
      const widened = apply(name, [ops.cast(half, 'float32'), w], labels, options);
      expect(loss.itemSync()).toBe(widened.itemSync());
    }
  });
});
