import type { SphereFace2Settings } from '../../ts/losses/sphere_face2';
import { gradcheck } from '../support/gradcheck';
import { losses, scope, tensor } from '../support/library';
import type { Tensor } from '../support/library';
import { Numbers } from '../support/numbers';

const { cos, exp, log1p, sin, sqrt } = Math;
const [N, D, C] = [3, 4, 5];
const features = Float64Array.from({ length: N * D }, (_, i) => sin(1 + i));
const weights = Float64Array.from({ length: C * D }, (_, i) => cos(2 + 0.7 * i));
const targets = [4, 0, 2];
const labels = (): Tensor => tensor(Int32Array.from(targets));
const small = { scale: 8, margin: 0.2, alpha: 0.6, t: 2.5, lossWeight: 1 };

/** The formula of the documentation. */
function definition(options: SphereFace2Settings, bias: number): number {
  const { scale: r, margin, alpha, t, lossWeight } = options;
  const row = (data: Float64Array, i: number): Float64Array => data.subarray(i * D, (i + 1) * D);
  const norm = (v: Float64Array): number => sqrt(v.reduce((sum, x) => sum + x * x, 1e-8));
  let total = 0;
  for (let i = 0; i < N; ++i) {
    for (let j = 0; j < C; ++j) {
      const [x, w] = [row(features, i), row(weights, j)];
      const z = x.reduce((sum, v, l) => sum + v * (w[l] as number), 0) / (norm(x) * norm(w));
      const g = 2 * ((z + 1) / 2) ** t - 1;
      total +=
        targets[i] === j
          ? alpha * log1p(exp(-(r * (g - margin) + bias)))
          : (1 - alpha) * log1p(exp(r * (g + margin) + bias));
    }
  }
  return (lossWeight * total) / (r * N);
}

/** Loss, and gradients of the first features, the third class's weight and the bias. */
function outcome(options: losses.SphereFace2Options): number[][] {
  return scope(() => {
    const x = tensor(features, { shape: [N, D], requiresGrad: true });
    const w = tensor(weights, { shape: [C, D], requiresGrad: true });
    const b = tensor([0.3], { dtype: 'float64', requiresGrad: true });
    const loss = losses.sphereFace2(x, w, labels(), b, options);
    loss.backward();
    const [dx, dw, db] = [x, w, b].map(({ grad }) => Array.from(grad?.dataSync() ?? [])) as [
      number[],
      number[],
      number[],
    ];
    return [[loss.itemSync()], dx.slice(0, D), dw.slice(2 * D, 3 * D), db];
  });
}

// PyTorch 2.13 in float64: F.normalize, opensphere's logits and weights, F.binary_cross_entropy_with_logits.
const TORCH: [string, losses.SphereFace2Options, number[][]][] = [
  [
    'the defaults',
    {},
    [
      [29.537215213323222],
      [-0.46349474005091773, 0.9465384543688371, 1.2447157735398435, 0.854016615413544],
      [0.0038034926872640047, 0.0048180407985263215, 0.0015979049766187865, -0.002679467942563327],
      [0.16283041657320485],
    ],
  ],
  [
    'other options',
    small,
    [
      [0.5492430387779736],
      [-0.0014798752802934407, 0.0006428388609119881, 0.00010147640576082086, -0.0008541462801978416],
      [0.009675001062472552, 0.012658525143353746, 0.0043403966884310325, -0.0072574574490072985],
      [0.0420873868506924],
    ],
  ],
  [
    'detached gradients',
    { detached: true },
    [
      [29.537215213323222],
      [-0.19260320325684432, 0.3923086974916885, 0.5155740099880483, 0.35334594181669654],
      [0.003505401824802157, 0.0044403336503936325, 0.0014726018413355252, -0.002469357061118847],
      [0.16283041657320485],
    ],
  ],
];

describe('sphereFace2', () => {
  it.each(TORCH)('has the values and gradients that PyTorch finds, with %s', (_, options, expected) => {
    outcome(options).forEach((values, i) => {
      expect(values).toBeAllClose(expected[i] as number[], 1e-6);
    });
  });

  it.each([
    { ...small, detached: false },
    { scale: 40, margin: 0.4, alpha: 0.7, t: 3, lossWeight: 50, detached: true },
  ])('is its formula with %j', (options) => {
    expect(outcome(options)[0]).toBeAllClose([definition(options, 0.3)], 1e-12);
  });

  it.each([1, 2, 2.5, 3])('has the gradients that finite differences find, t %d', (t) => {
    gradcheck(
      (x, w, b) => losses.sphereFace2(x, w, labels(), b, { ...small, t }),
      [
        { shape: [N, D], data: features },
        { shape: [C, D], data: weights },
        { shape: [1], data: Float64Array.of(0.3) },
      ],
      { tolerance: 1e-6 },
    );
  });

  it('is finite for features of zeros, along a weight and against it, in float32', () => {
    scope(() => {
      const x = tensor([0, 0, 5, 5, -3, -3], { shape: [3, 2], requiresGrad: true });
      const w = tensor([1, 1, 0, 0, 1, -1], { shape: [3, 2], requiresGrad: true });
      const bias = tensor([0], { requiresGrad: true });
      const loss = losses.sphereFace2(x, w, tensor(Int32Array.of(0, 0, 0)), bias, { t: 2.5 });
      loss.backward();
      for (const { grad } of [x, w, bias]) {
        for (const value of grad?.dataSync() ?? [NaN]) expect(Number.isFinite(value)).toBe(true);
      }
      expect(Number.isFinite(loss.itemSync())).toBe(true);
    });
  });

  it('depends on directions only', () => {
    scope(() => {
      const of = (a: number, b: number): number =>
        losses
          .sphereFace2(
            tensor(
              features.map((v) => a * v),
              { shape: [N, D] },
            ),
            tensor(
              weights.map((v) => b * v),
              { shape: [C, D] },
            ),
            labels(),
            tensor([0], { dtype: 'float64' }),
            small,
          )
          .itemSync();
      expect(of(100, 0.01) / of(1, 1)).toBeCloseTo(1, 4);
    });
  });
});

describe('sphereFace2Bias', () => {
  it('has the values of opensphere', () => {
    expect(losses.sphereFace2Bias(10)).toBeCloseTo(12.950177875501316, 10);
    expect(losses.sphereFace2Bias(1000)).toBeCloseTo(7.942881482670581, 10);
    expect(losses.sphereFace2Bias(2, { scale: 4 })).toBeCloseTo(4.937337288322214, 9);
  });

  it.each([2, 3, 5, 10, 1000])(
    'makes the loss stationary in b at right angles, with %d classes',
    (classes) => {
      for (const options of [{}, small, { ...small, alpha: 0.99 }, { ...small, margin: 0 }]) {
        scope(() => {
          // The first axis has no share in any class's weight.
          const x = tensor([1, 0], { shape: [1, 2], dtype: 'float64' });
          const rows = new Numbers(2).normals(classes).map((v) => v + Math.sign(v));
          const w = tensor(
            Float64Array.from({ length: 2 * classes }, (_, i) =>
              i % 2 === 0 ? 0 : (rows[(i - 1) / 2] as number),
            ),
            { shape: [classes, 2] },
          );
          const b = tensor([losses.sphereFace2Bias(classes, options)], {
            dtype: 'float64',
            requiresGrad: true,
          });
          losses.sphereFace2(x, w, tensor(Int32Array.of(1)), b, options).backward();
          expect(b.grad?.itemSync()).toBeCloseTo(0, 10);
        });
      }
    },
  );
});
