import { scope, tensor } from '../support/library';
import { apply, each, evaluated, NAMES } from '../support/margin_losses';
import type { Name, Options } from '../support/margin_losses';

describe('at the borders of its pieces', () => {
  // One class at a right angle, another opposite to the features or beside them.
  const logit = (name: Name, options: Options, x: number[]): number => {
    const free = { scale: 1, epsilon: 1e-30, ...options };
    const { loss } = evaluated(name, [x, [1, 0, 0, 0, 0, 1]], [1, 3, 2], Int32Array.of(0), free);
    return -Math.log(Math.expm1(loss));
  };

  it.each([
    ['sphereFace', { margin: 2 }, [0, 1, 0], -1],
    ['sphereFace', { margin: 2 }, [-1, 0, 0], -3],
    ['sphereFaceR', { version: 'v1', margin: 2, lossWeight: 1 }, [0, 1, 0], -1],
    ['sphereFaceR', { version: 'v1', margin: 2, lossWeight: 1 }, [-1, 0, 0], -1],
    ['arcFace', { margin: Math.PI / 2 }, [0, 1, 0], -1],
    ['arcFace', { margin: 0.5 }, [-1, 0, 0], -1],
    ['arcFace', { margin: 0.5 }, [1, 0, 0], Math.cos(0.5)],
    ['cosFace', { margin: 0.35 }, [-1, 0, 0], -1.35],
  ] as readonly (readonly [Name, Options, number[], number])[])(
    '%s %j of %j is %p',
    (name, options, x, value) => {
      for (const detach of name === 'cosFace' ? [undefined] : [true, false])
        expect(logit(name, { ...options, detach }, x)).toBeCloseTo(value, 12);
    },
  );
});

describe.each(['float64', 'float32'] as const)('%s vectors at the ends', (dtype) => {
  const rows = [
    [0, 0, 0],
    [1, 2, 3],
    [2, 4, 6],
    [-1, -2, -3],
    [1e18, -2e18, 1e18],
    [1e-30, 0, 0],
    [0, -1e-4, 0],
    [1, 2, 3.000001],
  ];
  const finite = (values: ArrayLike<number>): boolean => Array.from(values).every(Number.isFinite);

  it.each(each)('give a finite loss and finite gradients of %s', (_, name, options) => {
    for (let target = 0; target < rows.length; ++target) {
      const labels = new Int32Array(rows.length).fill(target);
      const { loss, dx, dw } = evaluated(name, [rows.flat(), rows.flat()], [8, 3, 8], labels, options, dtype);
      expect([target, Number.isFinite(loss), finite(dx), finite(dw)]).toEqual([target, true, true, true]);
    }
  });

  it.each(each)('and of one number each, of %s', (_, name, options) => {
    const values = [0, 1, -1, 3e18, -3e18, 1e-30, 5, -1e-12];
    const labels = Int32Array.from(values, (_value, i) => i);
    const { loss, dx, dw } = evaluated(name, [values, values], [8, 1, 8], labels, options, dtype);
    expect([Number.isFinite(loss), finite(dx), finite(dw)]).toEqual([true, true, true]);
  });

  it('let zeros have logits of 0', () => {
    const zeros = new Float64Array(6);
    const weights = Float64Array.from(rows.slice(1, 4).flat());
    const labels = Int32Array.of(0, 2);
    const { loss } = evaluated('normFace', [zeros, weights], [2, 3, 3], labels, {}, dtype);
    expect(loss).toBeCloseTo(Math.log(3), 6);
  });

  it.each(NAMES)('and a row of NaN passes nothing back, with %s', (name) => {
    const x = [1, 2, 3, NaN, 0, 1, 3, -1, 2];
    const { loss, dx, dw } = evaluated(
      name,
      [x, rows.slice(1, 4).flat()],
      [3, 3, 3],
      Int32Array.of(0, 1, 2),
      {},
      dtype,
    );
    expect(loss).toBeNaN();
    expect([...dx.subarray(3, 6)]).toEqual([0, 0, 0]);
    expect([finite(dx), finite(dw)]).toEqual([true, true]);
  });
});

describe('errors say what is possible', () => {
  const labels = Int32Array.of(0);
  it.each([
    ['normFace', { scale: 0 }, 'normFace: scale must be a number above 0, got 0'],
    ['normFace', { margin: 0.2 }, 'normFace: margin must be left out, because normFace takes scale, labelSmoothing, epsilon, got 0.2'], // prettier-ignore
    ['cosFace', { detach: true }, 'cosFace: detach must be left out, because cosFace takes scale'],
    ['cosFace', { margin: -0.1 }, 'cosFace: margin must be a number of at least 0, got -0.1'],
    ['arcFace', { margin: NaN }, 'arcFace: margin must be a number of at least 0, got NaN'],
    ['arcFace', { epsilon: 0 }, 'arcFace: epsilon must be a number above 0, got 0'],
    ['arcFace', { labelSmoothing: 1 }, 'arcFace: labelSmoothing must be a number in [0, 1), got 1'],
    ['sphereFace', { margin: 0.9 }, 'sphereFace: margin must be a number of at least 1, got 0.9'],
    ['sphereFace', { detach: 1 }, 'sphereFace: detach must be true or false, got 1'],
    [
      'sphereFaceR',
      { version: 'v3' },
      "sphereFaceR: version must be one of 'v0', 'v1', 'v2', got the string 'v3'",
    ],
    ['sphereFaceR', { features: 'any' }, "sphereFaceR: features must be one of 'hard', 'soft', 'none'"],
    [
      'sphereFaceR',
      { features: 'none', scale: 3 },
      "sphereFaceR: scale must be left out where features is 'none'",
    ],
    [
      'sphereFaceR',
      { lengthWeight: 3 },
      "sphereFaceR: lengthWeight must be left out unless features is 'soft'",
    ],
    ['sphereFaceR', { lossWeight: 0 }, 'sphereFaceR: lossWeight must be a number above 0, got 0'],
    ['gaSoftmax', { lambda: -1 }, 'gaSoftmax: lambda must be a number of at least 0, got -1'],
    ['gaSoftmax', { lambda: Infinity }, 'gaSoftmax: lambda must be a number of at least 0, got Infinity'],
    ['gaSoftmax', { labelSmoothing: -0.1 }, 'gaSoftmax: labelSmoothing must be a number in [0, 1), got -0.1'],
    ['gaSoftmax', { operator: 'sigmoid', k: 0 }, 'gaSoftmax: k must be a number above 0, got 0'],
  ] as readonly (readonly [Name | 'gaSoftmax', unknown, string])[])('%s %j: %s', (name, options, message) => {
    scope(() => {
      const [x, w] = [tensor([[1, 2]]), tensor([[1, 2], [3, 4]])]; // prettier-ignore
      expect(() => apply(name, [x, w], labels, options as Options)).toThrowSphereNetError(
        'SPHERENET_ARGUMENT',
        message,
      );
    });
  });

  it.each(NAMES)('%s: tensors that do not fit', (name) => {
    scope(() => {
      const [x, w] = [tensor([[1, 2]]), tensor([[1, 2, 3]])];
      expect(() => apply(name, [x, w], labels)).toThrowSphereNetError(
        'SPHERENET_ARGUMENT',
        `${name}: weight`,
        '[1, 2]',
      );
      expect(() => apply(name, [x, tensor([[1, 2]])], Int32Array.of(1))).toThrowSphereNetError(
        'SPHERENET_ARGUMENT',
        `${name}: labels must be from 0 to 0`,
      );
    });
  });
});
