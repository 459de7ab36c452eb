import { inScope } from '../support/in_scope';
import { ops, tensor } from '../support/library';
import type { Tensor } from '../support/library';
import { Numbers, product } from '../support/numbers';

const OPERATORS = ['cosine', 'linear', 'sigmoid', 'squaredCosine'] as const;

function normal(shape: readonly number[], seed: number, factor = 1): Tensor {
  return tensor(new Numbers(seed).normals(product(shape), factor), { shape });
}

/** The filters in another order. */
function permuted(w: Tensor, order: readonly number[], axis: number): Tensor {
  const parts = order.map((o) => {
    const begin = w.shape.map((_, a) => (a === axis ? o : 0));
    return ops.slice(
      w,
      begin,
      w.shape.map((extent, a) => (a === axis ? 1 : extent)),
    );
  });
  return ops.concat(parts, axis);
}

describe.each(OPERATORS)('SphereConv with operator %s', (operator) => {
  const x = (): Tensor => normal([2, 6, 5, 4], 1);
  const w = (): Tensor => normal([5, 3, 3, 4], 2);

  it(
    'does not see the length of patches and kernels once epsilon is negligible',
    inScope(() => {
      const options = { operator, epsilon: 1e-30 };
      const y = ops.sphereConv2d(x(), w(), options);
      expect(ops.sphereConv2d(ops.scale(x(), 37.5), w(), options)).toBeAllClose(y, 1e-12);
      expect(ops.sphereConv2d(x(), ops.scale(w(), 0.002), options)).toBeAllClose(y, 1e-12);
      expect(ops.sphereConv2d(ops.scale(x(), -1), w(), options)).toBeAllClose(ops.scale(y, -1), 1e-12);
    }),
  );

  it(
    'gives permuted outputs for permuted filters',
    inScope(() => {
      const order = [3, 0, 4, 1, 2];
      const y = ops.sphereConv2d(x(), w(), { operator, padding: 1 });
      expect(ops.sphereConv2d(x(), permuted(w(), order, 0), { operator, padding: 1 })).toBeAllClose(
        permuted(y, order, 3),
        1e-13,
      );
    }),
  );

  it(
    'does not care about the order of the channels',
    inScope(() => {
      const order = [2, 0, 3, 1];
      const y = ops.sphereConv2d(x(), w(), { operator });
      expect(ops.sphereConv2d(permuted(x(), order, 3), permuted(w(), order, 3), { operator })).toBeAllClose(
        y,
        1e-12,
      );
    }),
  );

  it(
    'of size 1×1 is SphereLinear at every position',
    inScope(() => {
      const images = normal([2, 3, 4, 7], 3);
      const filters = normal([6, 7], 4);
      const y = ops.sphereConv2d(images, ops.reshape(filters, [6, 1, 1, 7]), { operator });
      expect(ops.sphereLinear(ops.reshape(images, [24, 7]), filters, { operator })).toBeAllClose(y, 1e-13);
    }),
  );

  it(
    'that covers the whole image is SphereLinear of the flattened image',
    inScope(() => {
      const images = normal([3, 4, 2, 5], 5);
      const filters = normal([6, 4, 2, 5], 6);
      const y = ops.sphereConv2d(images, filters, { operator });
      expect(ops.sphereLinear(ops.flatten(images), ops.flatten(filters), { operator })).toBeAllClose(
        y,
        1e-13,
      );
    }),
  );

  it(
    'pads as pad() does',
    inScope(() => {
      const padded = ops.sphereConv2d(x(), w(), { operator, padding: [2, 0, 1, 3], stride: [2, 1] });
      const explicit = ops.sphereConv2d(
        ops.pad(x(), [
          [0, 0],
          [2, 0],
          [1, 3],
          [0, 0],
        ]),
        w(),
        { operator, stride: [2, 1] },
      );
      expect(padded).toBeAllClose(explicit, 1e-13);
    }),
  );

  it(
    'with groups is separate SphereConvs side by side',
    inScope(() => {
      const images = normal([1, 5, 5, 6], 7);
      const filters = normal([4, 3, 3, 3], 8);
      const parts = [0, 1].map((g) =>
        ops.sphereConv2d(
          ops.slice(images, [0, 0, 0, 3 * g], [1, 5, 5, 3]),
          ops.slice(filters, [2 * g, 0, 0, 0], [2, 3, 3, 3]),
          { operator },
        ),
      );
      expect(ops.sphereConv2d(images, filters, { operator, groups: 2 })).toBeAllClose(
        ops.concat(parts, 3),
        1e-13,
      );
    }),
  );

  it(
    'shifts its output with the image',
    inScope(() => {
      const images = normal([1, 8, 8, 3], 9);
      const filters = normal([4, 3, 3, 3], 10);
      const y = ops.sphereConv2d(images, filters, { operator });
      const shifted = ops.sphereConv2d(ops.slice(images, [0, 2, 1, 0], [1, 6, 7, 3]), filters, { operator });
      expect(shifted).toBeAllClose(ops.slice(y, [0, 2, 1, 0], [1, 4, 5, 4]), 1e-13);
    }),
  );

  it(
    'treats the images of a batch independently',
    inScope(() => {
      const y = ops.sphereConv2d(x(), w(), { operator, padding: 1 });
      const second = ops.sphereConv2d(ops.slice(x(), [1, 0, 0, 0], [1, 6, 5, 4]), w(), {
        operator,
        padding: 1,
      });
      expect(ops.slice(y, [1, 0, 0, 0], [1, 6, 5, 5])).toBeAllClose(second, 1e-13);
    }),
  );

  it(
    'stays within [−1, 1], also in float32 and for parallel vectors',
    inScope(() => {
      const filters = ops.cast(normal([9, 3, 3, 4], 11, 1e3), 'float32');
      const images = ops.concat([ops.slice(filters, [0, 0, 0, 0], [4, 3, 3, 4]), ops.scale(filters, -1)], 0);
      const y = ops.sphereConv2d(images, filters, { operator, padding: 1, epsilon: 1e-12 }).dataSync();
      expect(Math.max(...y)).toBeLessThanOrEqual(1);
      expect(Math.min(...y)).toBeGreaterThanOrEqual(-1);
    }),
  );

  it(
    'is 1 for a patch along the kernel, −1 against it and 0 across',
    inScope(() => {
      const w2 = tensor(Float64Array.of(3, 4), { shape: [1, 2] });
      const rows = tensor(Float64Array.of(6, 8, -3, -4, 4, -3), { shape: [3, 2] });
      expect(ops.sphereLinear(rows, w2, { operator, epsilon: 1e-30 })).toBeAllClose([1, -1, 0], 1e-6);
    }),
  );
});

describe('the sigmoid operator', () => {
  it(
    'becomes the linear one for large k and a step for small k',
    inScope(() => {
      const [x, w] = [normal([2, 5, 5, 3], 12), normal([4, 3, 3, 3], 13)];
      const linear = ops.sphereConv2d(x, w, { operator: 'linear' });
      expect(ops.sphereConv2d(x, w, { operator: 'sigmoid', k: 1000 })).toBeAllClose(linear, 1e-5);
      const signs = linear.dataSync().map(Math.sign);
      expect(ops.sphereConv2d(x, w, { operator: 'sigmoid', k: 1e-4 })).toBeAllClose(signs, 1e-3);
    }),
  );

  it(
    'has a gradient for k that vanishes at large k',
    inScope(() => {
      const [x, w] = [normal([2, 5, 5, 3], 12), normal([4, 3, 3, 3], 13)];
      const k = tensor(Float64Array.of(1e4), { requiresGrad: true });
      ops.sum(ops.sphereConv2d(x, w, { operator: 'sigmoid', k })).backward();
      expect(Math.abs(k.grad?.itemSync() ?? NaN)).toBeLessThan(1e-8);
    }),
  );
});
