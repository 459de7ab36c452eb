import { gradcheck } from '../support/gradcheck';
import { losses, scope, tensor } from '../support/library';
import { Numbers, product } from '../support/numbers';

/** ‖WᵀW − I‖²_F by its definition. */
function definition(data: Float64Array, filters: number, normalized: boolean): number {
  const length = data.length / filters;
  const rows = Array.from({ length: filters }, (_, i) =>
    Array.from(data.subarray(i * length, (i + 1) * length)),
  );
  const unit = rows.map((row) => {
    const norm = normalized ? Math.sqrt(row.reduce((sum, v) => sum + v * v, 1e-8)) : 1;
    return row.map((v) => v / norm);
  });
  let total = 0;
  unit.forEach((a, i) => {
    unit.forEach((b, j) => {
      const dot = a.reduce((sum, v, l) => sum + v * (b[l] as number), i === j ? -1 : 0);
      total += dot * dot;
    });
  });
  return total;
}

describe.each([false, true])('orthogonality, normalized %s', (normalized) => {
  it.each([[[1, 1]], [[4, 9]], [[6, 3]], [[5, 2, 3, 2]]])(
    'of %j is ‖WᵀW − I‖²_F, with its gradient',
    (shape) => {
      const data = new Numbers(1).normals(product(shape), 0.5);
      scope(() => {
        expect(losses.orthogonality(tensor(data, { shape }), { normalized })).toBeAllClose(
          [definition(data, shape[0] as number, normalized)],
          1e-12,
        );
      });
      gradcheck((w) => losses.orthogonality(w, { normalized }), [{ shape, data }], { tolerance: 1e-6 });
    },
  );

  it('is least, with no slope, for orthonormal filters', () => {
    scope(() => {
      const w = tensor(
        [
          [0.6, 0.8, 0],
          [-0.8, 0.6, 0],
        ],
        { dtype: 'float64', requiresGrad: true },
      );
      const loss = losses.orthogonality(w, { normalized });
      loss.backward();
      expect(loss.itemSync()).toBeCloseTo(0, 14);
      expect(w.grad?.dataSync() ?? []).toBeAllClose(new Float64Array(6), 1e-14);
    });
  });

  it('is not NaN for filters of zeros', () => {
    scope(() => {
      const w = tensor([0, 0, 0, 0, 3, 4], { shape: [3, 2], requiresGrad: true });
      const loss = losses.orthogonality(w, { normalized });
      loss.backward();
      expect(loss.itemSync()).toBeCloseTo(normalized ? 2 : 2 + 24 ** 2, 4);
      expect(Array.from(w.grad?.dataSync() ?? []).slice(0, 4)).toEqual([0, 0, 0, 0]);
    });
  });
});

describe('orthogonality', () => {
  it('normalized sees directions only, and cannot fall below n²/d − n for n filters of d dimensions', () => {
    scope(() => {
      const third = (2 * Math.PI) / 3;
      const spread = [0, 1, 2].flatMap((i) => [3 * Math.cos(i * third), 3 * Math.sin(i * third)]);
      const w = tensor(spread, { shape: [3, 2], dtype: 'float64', requiresGrad: true });
      const loss = losses.orthogonality(w, { normalized: true });
      loss.backward();
      expect(loss.itemSync()).toBeCloseTo(9 / 2 - 3, 8);
      expect(w.grad?.dataSync() ?? []).toBeAllClose(new Float64Array(6), 1e-8);
    });
  });
});
