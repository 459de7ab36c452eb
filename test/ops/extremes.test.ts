import { losses, ops, scope, tensor } from '../support/library';
import type { FloatDType, Tensor } from '../support/library';
import { Numbers } from '../support/numbers';

const OPERATORS = ['cosine', 'linear', 'sigmoid', 'squaredCosine'] as const;
const MARGIN_OPERATORS = ['cosine', 'linear', 'sigmoid'] as const;
const DTYPES: readonly FloatDType[] = ['float32', 'float64'];
const each = OPERATORS.flatMap((operator) => DTYPES.map((dtype) => [operator, dtype] as const));

const D = 6;
const direction = Array.from(new Numbers(1).normals(D));
const across = direction.map((v, i) => (i % 2 ? -1 : 1) * (direction[i ^ 1] as number) + 0 * v);

/** Vectors of which every pair meets in some extreme angle or length. */
const VECTORS: Record<string, number[]> = {
  zero: Array<number>(D).fill(0),
  'a direction': direction,
  'the same direction': direction.map((v) => 2 * v),
  'against it': direction.map((v) => -v),
  'across it': across,
  huge: direction.map((v) => v * 1e18),
  'huge against it': direction.map((v) => v * -1e18),
  tiny: direction.map((v) => v * 1e-30),
  'tiny and huge': direction.map((v, i) => v * (i % 2 ? 1e18 : 1e-30)),
  'one large element': [1e18, 0, 0, 0, 0, 0],
  'nearly the same direction': direction.map((v, i) => v * (1 + (i === 0 ? 1e-7 : 0))),
};
const ROWS = Object.values(VECTORS);

function rows(dtype: FloatDType): Tensor {
  return tensor(ROWS, { dtype, requiresGrad: true });
}

function expectFinite(name: string, values: ArrayLike<number> | undefined): void {
  const wrong = Array.from(values ?? [NaN]).findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) throw new Error(`${name}[${wrong}] is ${values?.[wrong]}`);
}

describe.each(each)('finite extremes with operator %s in %s', (operator, dtype) => {
  it.each([1e-4, 1e-12])(
    'give finite outputs in [−1, 1] and finite gradients of sphereLinear, epsilon %p',
    (epsilon) => {
      scope(() => {
        const [x, w] = [rows(dtype), rows(dtype)];
        const y = ops.sphereLinear(x, w, { operator, epsilon });
        ops.sum(y).backward();
        const values = y.dataSync();
        expectFinite('y', values);
        expect(values.every((value) => Math.abs(value) <= 1)).toBe(true);
        expectFinite('dx', x.grad?.dataSync());
        expectFinite('dw', w.grad?.dataSync());
      });
    },
  );

  it('give finite gradients of sphereConv2d over patches that mix them', () => {
    scope(() => {
      const images = tensor(ROWS.slice(0, 9).flat(), { shape: [1, 3, 3, D], dtype, requiresGrad: true });
      const filters = tensor([...ROWS.slice(0, 8).flat(), ...ROWS.slice(3, 11).flat()], {
        shape: [4, 2, 2, D],
        dtype,
        requiresGrad: true,
      });
      const y = ops.sphereConv2d(images, filters, { operator, padding: 2 });
      ops.sum(ops.square(y)).backward();
      expectFinite('y', y.dataSync());
      expectFinite('dx', images.grad?.dataSync());
      expectFinite('dw', filters.grad?.dataSync());
    });
  });

  it('give finite gradients with respect to k, whether curved or nearly a step', () => {
    if (operator !== 'sigmoid') return;
    for (const curvature of [1e-3, 0.05, 0.3, 50]) {
      scope(() => {
        const k = tensor([curvature], { dtype, requiresGrad: true });
        const [x, w] = [rows(dtype), rows(dtype)];
        const y = ops.sphereLinear(x, w, { operator, k });
        ops.sum(y).backward();
        expectFinite('y', y.dataSync());
        expectFinite('dk', k.grad?.dataSync());
        expectFinite('dx', x.grad?.dataSync());
        expectFinite('dw', w.grad?.dataSync());
      });
    }
  });

  it.each([1, 1.5, 4])('give finite gradients of gaSoftmax with margin %p', (margin) => {
    if (operator === 'squaredCosine') return;
    for (const k of operator === 'sigmoid' ? [0.05, 0.3, 1] : [0.3]) {
      for (let target = 0; target < ROWS.length; ++target) {
        scope(() => {
          const [x, w] = [rows(dtype), rows(dtype)];
          const labels = tensor(new Int32Array(ROWS.length).fill(target));
          const loss = losses.gaSoftmax(x, w, labels, { operator, k, margin });
          loss.backward();
          expectFinite('loss', loss.dataSync());
          expectFinite('dx', x.grad?.dataSync());
          expectFinite('dw', w.grad?.dataSync());
        });
      }
    }
  });
});

const MAGNITUDES = ['ball', 'tanh', 'linear', 'segmented', 'logarithmic', 'mixed'] as const;
const HAVE_RADIUS: readonly string[] = ['ball', 'tanh', 'segmented'];

describe.each(each)('decoupled operators with g %s in %s', (angular, dtype) => {
  const operatorOf = (
    magnitude: (typeof MAGNITUDES)[number],
    radius: Tensor | undefined,
  ): ops.DecoupledOperator => ({
    magnitude,
    angular,
    ...(radius && HAVE_RADIUS.includes(magnitude) && { radius }),
  });

  it.each(MAGNITUDES)('give finite outputs and gradients of finite extremes, %s', (magnitude) => {
    for (const epsilon of [1e-4, 1e-12]) {
      for (const value of [1e-20, 1, 1e20]) {
        scope(() => {
          const [x, w] = [rows(dtype), rows(dtype)];
          const radius = tensor([value], { dtype, requiresGrad: true });
          const y = ops.sphereLinear(x, w, { operator: operatorOf(magnitude, radius), epsilon });
          // The gradient is not that of a constant, so that it meets every sign.
          y.backward(tensor(new Numbers(4).normals(y.size), { shape: y.shape, dtype }));
          expectFinite('y', y.dataSync());
          expectFinite('dx', x.grad?.dataSync());
          expectFinite('dw', w.grad?.dataSync());
          if (HAVE_RADIUS.includes(magnitude)) expectFinite('dradius', radius.grad?.dataSync());
        });
      }
    }
  });

  it.each(MAGNITUDES)(
    'give no NaN gradient where the input or a filter holds NaN or infinities, %s',
    (magnitude) => {
      for (const value of [NaN, Infinity, -Infinity]) {
        for (const place of ['input', 'weight']) {
          scope(() => {
            const data = [new Numbers(2).normals(2 * 6 * 6 * 2), new Numbers(3).normals(3 * 9 * 2)] as const;
            (place === 'input' ? data[0] : data[1])[20] = value;
            const x = tensor(data[0], { shape: [2, 6, 6, 2], dtype, requiresGrad: true });
            const w = tensor(data[1], { shape: [3, 3, 3, 2], dtype, requiresGrad: true });
            const radius = tensor([3, 4, 5], { dtype, requiresGrad: true });
            const y = ops.sphereConv2d(x, w, { operator: operatorOf(magnitude, radius) });
            y.backward(tensor(new Numbers(4).normals(y.size), { shape: y.shape, dtype }));
            expectFinite(`dx, ${value} in ${place}`, x.grad?.dataSync());
            expectFinite(`dw, ${value} in ${place}`, w.grad?.dataSync());
            if (HAVE_RADIUS.includes(magnitude)) expectFinite('dradius', radius.grad?.dataSync());
          });
        }
      }
    },
  );
});

describe.each(each)('vectors of one number with operator %s in %s', (operator, dtype) => {
  const numbers = [0, 1, -1, 3e18, -3e18, 1e-30, 5, -1e-12];

  it('give finite outputs and gradients, also of gaSoftmax', () => {
    scope(() => {
      const shape = [numbers.length, 1];
      const [x, w] = [
        tensor(numbers, { shape, dtype, requiresGrad: true }),
        tensor(numbers, { shape, dtype, requiresGrad: true }),
      ];
      const y = ops.sphereLinear(x, w, { operator, k: 0.1 });
      const loss = losses.gaSoftmax(x, w, tensor(Int32Array.from(numbers, (_, i) => i)), {
        operator: operator === 'squaredCosine' ? 'cosine' : operator,
        k: 0.1,
        margin: 3,
      });
      ops.add(ops.sum(y), loss).backward();
      expectFinite('y', y.dataSync());
      expectFinite('loss', loss.dataSync());
      expectFinite('dx', x.grad?.dataSync());
      expectFinite('dw', w.grad?.dataSync());
    });
  });
});

describe.each(DTYPES)('zero vectors in %s', (dtype) => {
  it('are at a right angle to everything, and their gradient points along the kernel', () => {
    scope(() => {
      const x = tensor([[0, 0, 0]], { dtype, requiresGrad: true });
      const w = tensor([[0, 3, 4]], { dtype, requiresGrad: true });
      const y = ops.sphereLinear(x, w, { operator: 'cosine' });
      y.backward(tensor([[1]], { dtype }));
      expect(y.itemSync()).toBe(0);
      // d cos / dx = w / (sqrt(ε) · |w|) with ε = 1e-4.
      expect(x.grad?.dataSync() ?? []).toBeAllClose([0, 60, 80], 1e-5);
      expect(w.grad?.dataSync() ?? []).toBeAllClose([0, 0, 0], 1e-12);
    });
  });
});

describe.each(DTYPES)('NaN and infinity in the input in %s', (dtype) => {
  const bad = [NaN, Infinity, -Infinity];

  it.each(bad)('%p reaches only the outputs whose window holds it, conv2d', (value) => {
    scope(() => {
      const data = new Numbers(2).normals(6 * 6 * 2);
      data[0] = value;
      const w = tensor(new Numbers(3).normals(3 * 9 * 2), { shape: [3, 3, 3, 2], dtype });
      const y = ops.conv2d(tensor(data, { shape: [1, 6, 6, 2], dtype }), w).dataSync();
      y.forEach((v, i) => expect(Number.isFinite(v)).toBe(i >= 3));
    });
  });

  it.each(OPERATORS)(
    'reach only the outputs whose patch holds them, sphereConv2d %s; no gradient elsewhere is NaN',
    (operator) => {
      for (const value of bad) {
        scope(() => {
          const data = new Numbers(2).normals(2 * 6 * 6 * 2);
          data[0] = value;
          const x = tensor(data, { shape: [2, 6, 6, 2], dtype, requiresGrad: true });
          const w = tensor(new Numbers(3).normals(3 * 9 * 2), { shape: [3, 3, 3, 2], dtype });
          const y = ops.sphereConv2d(x, w, { operator });
          ops.sum(y).backward();
          expectFinite('y outside', y.dataSync().subarray(3));
          // The patch at the corner holds the pixels of rows and columns 0 to 2.
          const dx = (x.grad as Tensor).dataSync();
          dx.forEach((v, i) => {
            const [image, row, column] = [Math.floor(i / 72), Math.floor(i / 12) % 6, Math.floor(i / 2) % 6];
            if (image > 0 || row > 2 || column > 2) expect(Number.isFinite(v)).toBe(true);
          });
        });
      }
    },
  );

  it.each(OPERATORS)('give no NaN gradient of sphereConv2d %s, wherever they are', (operator) => {
    for (const value of bad) {
      for (const place of ['input', 'weight']) {
        scope(() => {
          const [images, filters] = [
            new Numbers(2).normals(2 * 6 * 6 * 2),
            new Numbers(3).normals(3 * 9 * 2),
          ];
          (place === 'input' ? images : filters)[20] = value;
          const x = tensor(images, { shape: [2, 6, 6, 2], dtype, requiresGrad: true });
          const w = tensor(filters, { shape: [3, 3, 3, 2], dtype, requiresGrad: true });
          const k = tensor([0.3, 0.4, 0.5], { dtype, requiresGrad: true });
          const y = ops.sphereConv2d(x, w, { operator, ...(operator === 'sigmoid' && { k }) });
          y.backward(tensor(new Numbers(4).normals(y.size), { shape: y.shape, dtype }));
          expectFinite(`dx, ${value} in ${place}`, x.grad?.dataSync());
          expectFinite(`dw, ${value} in ${place}`, w.grad?.dataSync());
          if (operator === 'sigmoid') expectFinite(`dk, ${value} in ${place}`, k.grad?.dataSync());
        });
      }
    }
  });

  it.each(MARGIN_OPERATORS)('give no NaN gradient of gaSoftmax %s, wherever they are', (operator) => {
    for (const value of bad) {
      for (const place of ['features', 'weight']) {
        scope(() => {
          const [features, classes] = [new Numbers(2).normals(4 * 5), new Numbers(3).normals(3 * 5)];
          (place === 'features' ? features : classes)[6] = value;
          const x = tensor(features, { shape: [4, 5], dtype, requiresGrad: true });
          const w = tensor(classes, { shape: [3, 5], dtype, requiresGrad: true });
          losses.gaSoftmax(x, w, tensor(Int32Array.of(0, 1, 2, 1)), { operator, margin: 2 }).backward();
          expectFinite(`dx, ${value} in ${place}`, x.grad?.dataSync());
          expectFinite(`dw, ${value} in ${place}`, w.grad?.dataSync());
        });
      }
    }
  });

  it('pass through relu and maxPool2d instead of being hidden', () => {
    scope(() => {
      const x = tensor([NaN, -1, 2, Infinity], { shape: [1, 2, 2, 1], dtype });
      expect(Array.from(ops.relu(x).dataSync())).toEqual([NaN, 0, 2, Infinity]);
      expect(ops.maxPool2d(x, 2).itemSync()).toBeNaN();
    });
  });
});

describe.each(DTYPES)('softmaxCrossEntropy of extreme logits in %s', (dtype) => {
  it('neither overflows nor gives NaN gradients', () => {
    scope(() => {
      const logits = tensor(
        [
          [1e30, -1e30, 0],
          [0, 0, 0],
          [700, 800, 900],
          [-1e30, -1e30, -1e30],
        ],
        { dtype, requiresGrad: true },
      );
      const loss = ops.softmaxCrossEntropy(logits, tensor(Int32Array.of(0, 1, 2, 0)), {
        labelSmoothing: 0.1,
      });
      loss.backward();
      expectFinite('loss', loss.dataSync());
      expectFinite('dlogits', logits.grad?.dataSync());
    });
  });
});
