import { ops, scope, tensor } from '../support/library';
import { Numbers } from '../support/numbers';

describe('oneHot', () => {
  it.each(['float32', 'float64', 'bfloat16', 'float16'] as const)('marks the labels in %s', (dtype) => {
    for (const [rows, classes] of [
      [1, 1],
      [7, 3],
      [300, 101],
    ] as const) {
      const labels = new Numbers(rows).labels(rows, classes);
      const expected = Array.from({ length: rows * classes }, (_, i) =>
        labels[Math.floor(i / classes)] === i % classes ? 1 : 0,
      );
      scope(() => {
        const y = ops.oneHot(tensor(labels), classes, dtype);
        expect([y.dtype, y.shape]).toEqual([dtype, [rows, classes]]);
        expect(Array.from(y.dataSync())).toEqual(expected);
      });
    }
  });

  it('is float32 by default and selects the columns of labels', () => {
    scope(() => {
      const rows = tensor([1, 2, 3, 4, 5, 6], { shape: [2, 3], requiresGrad: true });
      const marks = ops.oneHot(tensor(Int32Array.of(2, 0)), 3);
      expect(marks.dtype).toBe('float32');
      const picked = ops.sum(ops.mul(rows, marks), { axes: 1 });
      expect(Array.from(picked.dataSync())).toEqual([3, 4]);
      ops.sum(picked).backward();
      expect(Array.from(rows.grad?.dataSync() ?? [])).toEqual([0, 0, 1, 1, 0, 0]);
    });
  });
});
