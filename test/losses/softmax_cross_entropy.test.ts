import fc from 'fast-check';
import { seeds, settings } from '../support/arbitraries';
import { gradcheck } from '../support/gradcheck';
import { losses, ops, scope, tensor } from '../support/library';
import { Numbers } from '../support/numbers';
import * as reference from '../support/reference';

const cases = fc.record({
  rows: fc.integer({ min: 1, max: 6 }),
  classes: fc.integer({ min: 1, max: 9 }),
  labelSmoothing: fc.constantFrom(0, 0.1, 0.7),
  seed: seeds,
});

describe('softmaxCrossEntropy', () => {
  it('is its definition, with the gradients that finite differences find', () => {
    fc.assert(
      fc.property(cases, ({ rows, classes, labelSmoothing, seed }) => {
        const numbers = new Numbers(seed);
        const logits = numbers.normals(rows * classes, 3);
        const labels = numbers.labels(rows, classes);
        const expected = reference.crossEntropy(logits, classes, labels, labelSmoothing);
        scope(() => {
          for (const [dtype, tolerance] of [
            ['float64', 1e-12],
            ['float32', 1e-5],
          ] as const) {
            const loss = losses.softmaxCrossEntropy(
              tensor(logits, { shape: [rows, classes], dtype }),
              tensor(labels),
              { labelSmoothing },
            );
            expect(loss.shape).toEqual([]);
            expect(Math.abs(loss.itemSync() - expected)).toBeLessThanOrEqual(
              tolerance * Math.max(1, expected),
            );
          }
        });
        const f = (x: Parameters<typeof ops.sum>[0]): typeof x =>
          ops.softmaxCrossEntropy(x, tensor(labels), { labelSmoothing });
        gradcheck(f, [{ shape: [rows, classes], data: logits }], { seed });
      }),
      settings(40),
    );
  });

  it('stays exact for many classes and rows in float32', () => {
    scope(() => {
      const [rows, classes] = [300, 1000];
      const numbers = new Numbers(4);
      const logits = numbers.normals(rows * classes, 5).map(Math.fround);
      const labels = numbers.labels(rows, classes);
      const x = tensor(logits, { shape: [rows, classes], dtype: 'float32', requiresGrad: true });
      const loss = ops.softmaxCrossEntropy(x, tensor(labels), { labelSmoothing: 0.05 });
      loss.backward();
      expect(loss).toBeAllClose([reference.crossEntropy(logits, classes, labels, 0.05)], 1e-6);
      const sums = ops.sum(x.grad as typeof x, { axes: 1 }).dataSync();
      expect(Math.max(...sums.map(Math.abs))).toBeLessThan(1e-8);
    });
  });

  it('does not change when all logits of a row move together', () => {
    scope(() => {
      const logits = tensor(new Numbers(5).normals(12), { shape: [3, 4] });
      const labels = tensor(Int32Array.of(0, 3, 1));
      const loss = ops.softmaxCrossEntropy(logits, labels).itemSync();
      expect(ops.softmaxCrossEntropy(ops.add(logits, 100), labels).itemSync()).toBeCloseTo(loss, 10);
    });
  });

  it('is log C for equal logits, whatever the smoothing', () => {
    scope(() => {
      const logits = tensor(new Float64Array(2 * 7), { shape: [2, 7] });
      const labels = tensor(Int32Array.of(0, 6));
      for (const labelSmoothing of [0, 0.3]) {
        expect(ops.softmaxCrossEntropy(logits, labels, { labelSmoothing }).itemSync()).toBeCloseTo(
          Math.log(7),
          12,
        );
      }
    });
  });
});
