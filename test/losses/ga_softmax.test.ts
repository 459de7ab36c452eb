import fc from 'fast-check';
import { seeds, settings } from '../support/arbitraries';
import { gradcheck } from '../support/gradcheck';
import { losses, ops, scope, tensor } from '../support/library';
import type { Tensor } from '../support/library';
import { Numbers } from '../support/numbers';
import * as reference from '../support/reference';

const OPERATORS = ['cosine', 'linear', 'sigmoid'] as const;

/** ψ(θ), as the issue and DESIGN define it. */
function psi(theta: number, operator: reference.Operator, k: number, m: number): number {
  if (operator === 'cosine') {
    const j = Math.min(Math.floor((m * theta) / Math.PI), Math.ceil(m) - 1);
    return (j % 2 ? -1 : 1) * Math.cos(m * theta) - 2 * j;
  }
  if (operator === 'linear') return 1 - (2 * m * theta) / Math.PI;
  return Math.tanh((Math.PI / 2 - m * theta) / (2 * k)) / Math.tanh(Math.PI / (4 * k));
}

interface Case {
  n: number;
  d: number;
  classes: number;
  margin: number;
  k: number;
  x: Float64Array;
  w: Float64Array;
  labels: Int32Array;
  /** cos θ of every row and class. */
  cosines: Float64Array;
  seed: number;
}

const EPSILON = 1e-4;

const cases: fc.Arbitrary<Case> = fc
  .record({
    n: fc.integer({ min: 1, max: 5 }),
    d: fc.integer({ min: 3, max: 8 }),
    classes: fc.integer({ min: 1, max: 7 }),
    margin: fc.constantFrom(1, 1.5, 2, 2.7, 3, 4, 6),
    k: fc.constantFrom(0.2, 0.3, 1),
    seed: seeds,
  })
  .map((c) => {
    const numbers = new Numbers(c.seed);
    const [x, w] = [numbers.normals(c.n * c.d), numbers.normals(c.classes * c.d)];
    const sphere = { operator: 'cosine', k: 1, epsilon: EPSILON } as const;
    const cosines = reference.sphereConv2d(
      x,
      [c.n, 1, 1, c.d],
      w,
      [c.classes, 1, 1, c.d],
      sphere,
      reference.PLAIN,
    );
    return { ...c, x, w, labels: numbers.labels(c.n, c.classes), cosines };
  });

function expectedLoss(c: Case, operator: reference.Operator): number {
  let total = 0;
  for (let i = 0; i < c.n; ++i) {
    const row = c.x.subarray(i * c.d, (i + 1) * c.d);
    const norm = Math.sqrt(row.reduce((sum, v) => sum + v * v, EPSILON));
    const logits = Float64Array.from({ length: c.classes }, (_, j) => {
      const cosine = c.cosines[i * c.classes + j] as number;
      return (
        norm *
        (j === c.labels[i]
          ? psi(Math.acos(cosine), operator, c.k, c.margin)
          : reference.angular(cosine, operator, c.k))
      );
    });
    total += reference.crossEntropy(logits, c.classes, c.labels.subarray(i, i + 1), 0);
  }
  return total / c.n;
}

/** Whether a finite difference would step over the border between two pieces of ψ. */
function nearBorder(c: Case): boolean {
  return c.cosines.some((cosine) => {
    const piece = (c.margin * Math.acos(cosine)) / Math.PI;
    return Math.abs(cosine) > 0.98 || Math.abs(piece - Math.round(piece)) < 1e-3;
  });
}

function apply(c: Case, operator: ops.MarginFunction): (x: Tensor, w: Tensor) => Tensor {
  return (x, w) =>
    losses.gaSoftmax(x, w, tensor(c.labels), { operator, k: c.k, margin: c.margin, epsilon: EPSILON });
}

describe.each(OPERATORS)('gaSoftmax with operator %s', (operator) => {
  it('is its definition for whole and real margins', () => {
    fc.assert(
      fc.property(cases, (c) => {
        scope(() => {
          for (const [dtype, tolerance] of [
            ['float64', 1e-12],
            ['float32', 1e-4],
          ] as const) {
            const loss = apply(c, operator)(
              tensor(c.x, { shape: [c.n, c.d], dtype }),
              tensor(c.w, { shape: [c.classes, c.d], dtype }),
            );
            expect(loss).toBeAllClose([expectedLoss(c, operator)], tolerance);
          }
        });
      }),
      settings(40),
    );
  });

  it('has the gradients that finite differences find', () => {
    fc.assert(
      fc.property(cases, (c) => {
        fc.pre(!nearBorder(c));
        const inputs = [
          { shape: [c.n, c.d], data: c.x },
          { shape: [c.classes, c.d], data: c.w },
        ];
        gradcheck(apply(c, operator), inputs, { seed: c.seed, step: 3e-6, tolerance: 1e-6 });
      }),
      settings(40),
    );
  });

  it('with margin 1 is W-Softmax: softmaxCrossEntropy over ‖x‖ g(θ), gradients included', () => {
    const numbers = new Numbers(6);
    const [n, d, classes] = [5, 6, 4];
    const [x, w, labels] = [numbers.normals(n * d), numbers.normals(classes * d), numbers.labels(n, classes)];
    const results = [true, false].map((direct) =>
      scope(() => {
        const features = tensor(x, { shape: [n, d], requiresGrad: true });
        const weight = tensor(w, { shape: [classes, d], requiresGrad: true });
        let loss: Tensor;
        if (direct) {
          loss = losses.gaSoftmax(features, weight, tensor(labels), {
            operator,
            margin: 1,
            epsilon: EPSILON,
          });
        } else {
          // ‖x‖ as x·x/‖x‖ with ‖x‖ taken as √(Σx² + ε): built from a SphereLinear of the row with itself.
          const norms = rowNorms(features);
          loss = ops.softmaxCrossEntropy(
            ops.mul(ops.sphereLinear(features, weight, { operator, epsilon: EPSILON }), norms),
            tensor(labels),
          );
        }
        loss.backward();
        return [loss.dataSync(), features.grad?.dataSync(), weight.grad?.dataSync()] as Float64Array[];
      }),
    ) as [Float64Array[], Float64Array[]];
    expect(results[0][0] as Float64Array).toBeAllClose(results[1][0] as Float64Array, 1e-12);
    expect(results[0][2] as Float64Array).toBeAllClose(results[1][2] as Float64Array, 1e-10);
  });

  it('grows with the margin', () => {
    scope(() => {
      const numbers = new Numbers(7);
      const x = tensor(numbers.normals(8 * 5), { shape: [8, 5] });
      const w = tensor(numbers.normals(6 * 5), { shape: [6, 5] });
      const labels = tensor(numbers.labels(8, 6));
      const values = [1, 1.5, 2, 3, 4].map((margin) =>
        losses.gaSoftmax(x, w, labels, { operator, margin }).itemSync(),
      );
      for (let i = 1; i < values.length; ++i)
        expect(values[i]).toBeGreaterThanOrEqual(values[i - 1] as number);
    });
  });

  it('does not see the length of the class weights', () => {
    scope(() => {
      const numbers = new Numbers(8);
      const x = tensor(numbers.normals(4 * 5), { shape: [4, 5] });
      const w = tensor(numbers.normals(3 * 5), { shape: [3, 5] });
      const labels = tensor(Int32Array.of(0, 1, 2, 0));
      const options = { operator, margin: 2, epsilon: 1e-30 };
      const loss = losses.gaSoftmax(x, w, labels, options).itemSync();
      expect(losses.gaSoftmax(x, ops.scale(w, 12), labels, options).itemSync()).toBeCloseTo(loss, 10);
    });
  });
});

/** √(Σx² + ε) of each row [N, 1], as constants. */
function rowNorms(x: Tensor): Tensor {
  const [n, d] = x.shape as [number, number];
  const values = x.dataSync() as Float64Array;
  return tensor(
    Float64Array.from({ length: n }, (_, i) =>
      Math.sqrt(values.subarray(i * d, (i + 1) * d).reduce((sum: number, v: number) => sum + v * v, EPSILON)),
    ),
    { shape: [n, 1] },
  );
}

describe('ψ of the cosine operator', () => {
  it('decreases from 1 to 1 − 2m without a jump', () => {
    scope(() => {
      // With one class the loss is 0; with a second at a right angle, ψ shows through the loss.
      for (const m of [2, 3, 4]) {
        const w = tensor(Float64Array.of(1, 0, 0, 0, 0, 1), { shape: [2, 3] });
        let last = Infinity;
        for (let theta = 0.001; theta < Math.PI; theta += 0.01) {
          const x = tensor(Float64Array.of(Math.cos(theta), Math.sin(theta), 0), { shape: [1, 3] });
          const loss = losses
            .gaSoftmax(x, w, tensor(Int32Array.of(0)), { margin: m, epsilon: 1e-30 })
            .itemSync();
          const value = -Math.log(Math.expm1(loss));
          expect(value).toBeCloseTo(psi(theta, 'cosine', 1, m), 6);
          expect(value).toBeLessThan(last);
          last = value;
        }
      }
    });
  });
});
