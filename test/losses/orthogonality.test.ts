import { gradcheck } from '../support/gradcheck';
import { losses, scope, tensor } from '../support/library';
import { Numbers, product } from '../support/numbers';

describe('orthogonality', () => {
  it.each([[[1, 1]], [[4, 9]], [[6, 3]], [[5, 2, 3, 2]]])(
    'of %j is ‖WᵀW − I‖²_F, with its gradient',
    (shape) => {
      const data = new Numbers(1).normals(product(shape), 0.5);
      const filters = shape[0] as number;
      const length = data.length / filters;
      let expected = 0;
      for (let i = 0; i < filters; ++i) {
        for (let j = 0; j < filters; ++j) {
          let dot = i === j ? -1 : 0;
          for (let l = 0; l < length; ++l)
            dot += (data[i * length + l] as number) * (data[j * length + l] as number);
          expected += dot * dot;
        }
      }
      scope(() => {
        expect(losses.orthogonality(tensor(data, { shape }))).toBeAllClose([expected], 1e-12);
      });
      gradcheck((w) => losses.orthogonality(w), [{ shape, data }], { tolerance: 1e-6 });
    },
  );

  it('is 0 for orthonormal filters', () => {
    scope(() => {
      const w = tensor(
        [
          [0.6, 0.8, 0],
          [-0.8, 0.6, 0],
        ],
        { dtype: 'float64', requiresGrad: true },
      );
      const loss = losses.orthogonality(w);
      loss.backward();
      expect(loss.itemSync()).toBeCloseTo(0, 14);
      expect(w.grad?.dataSync() ?? []).toBeAllClose(new Float64Array(6), 1e-14);
    });
  });
});
