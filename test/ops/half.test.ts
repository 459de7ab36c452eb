/** Every op with 16-bit activations against float64 on the same, already rounded numbers. */
import { HALF_DTYPES, rounder, roundingError } from '../support/half';
import { inScope } from '../support/in_scope';
import { losses, ops, scope, tensor } from '../support/library';
import type { DType, HalfDType, Tensor } from '../support/library';
import { Numbers, product } from '../support/numbers';

/** An activation has 16 bits, a parameter is float32, a filter may be both. */
type Role = 'activation' | 'parameter' | 'filter';

interface Input {
  shape: readonly number[];
  role?: Role;
  data?: Float64Array;
}

interface Case {
  name: string;
  f: (...inputs: [Tensor, ...Tensor[]]) => Tensor;
  inputs: Input[];
  /** What the result is; default: an activation. */
  result?: Role;
  /** How many roundings the gradients of activations, and those of parameters, may be off; default 1 and 0. */
  roundings?: { activations?: number; parameters?: number };
}

const CLASSES = 5;
const labels = (): Tensor => tensor(Int32Array.of(0, 4, 2, 1, 1, 3));
const positive = (count: number): Float64Array => new Numbers(9).normals(count).map((v) => Math.abs(v) + 0.5);
const images = { shape: [2, 6, 5, 6] };
const filters = { shape: [4, 3, 3, 6], role: 'filter' } as const;
const grouped = { shape: [4, 2, 3, 3], role: 'filter' } as const;
const [rows, columns] = [{ shape: [6, 8] }, { shape: [CLASSES, 8], role: 'filter' } as const];
const perFilter = { shape: [4], role: 'parameter' } as const;
const perChannel = { shape: [6], role: 'parameter' } as const;
/** h is rounded between the two passes of a SphereConv's backward, and the cosine is recovered from a rounded y. */
const angular = { activations: 4, parameters: 4 };

const cases: Case[] = [
  { name: 'add', f: (a, b) => ops.add(a, b), inputs: [{ shape: [5, 7] }, { shape: [5, 7] }] },
  {
    name: 'sub, broadcast',
    f: (a, b) => ops.sub(a, b),
    inputs: [{ shape: [5, 7] }, { shape: [7] }],
  },
  {
    name: 'mul, broadcast',
    f: (a, b) => ops.mul(a, b),
    inputs: [{ shape: [5, 1] }, { shape: [5, 7] }],
    roundings: { activations: 4 },
  },
  { name: 'add of a number', f: (x) => ops.add(x, 0.3), inputs: [{ shape: [37] }] },
  { name: 'scale', f: (x) => ops.scale(x, -1.3, 0.7), inputs: [{ shape: [3, 4] }] },
  { name: 'abs', f: ops.abs, inputs: [{ shape: [40] }] },
  { name: 'square', f: ops.square, inputs: [{ shape: [40] }] },
  { name: 'sqrt', f: ops.sqrt, inputs: [{ shape: [40], data: positive(40) }] },
  {
    name: 'div, broadcast',
    f: (a, b) => ops.div(a, b),
    inputs: [{ shape: [5, 1] }, { shape: [7], data: positive(7) }],
    roundings: { activations: 4 },
  },
  { name: 'exp', f: ops.exp, inputs: [{ shape: [40] }] },
  { name: 'log', f: ops.log, inputs: [{ shape: [40], data: positive(40) }] },
  { name: 'tanh', f: ops.tanh, inputs: [{ shape: [40] }] },
  { name: 'softplus', f: ops.softplus, inputs: [{ shape: [40] }] },
  { name: 'acos', f: ops.acos, inputs: [{ shape: [40], data: new Numbers(9).normals(40, 0.2) }] },
  { name: 'power', f: (x) => ops.power(x, 1.7), inputs: [{ shape: [40], data: positive(40) }] },
  { name: 'relu', f: ops.relu, inputs: [{ shape: [40] }] },
  { name: 'leakyRelu', f: (x) => ops.leakyRelu(x, 0.3), inputs: [{ shape: [40] }] },
  { name: 'sum of an axis', f: (x) => ops.sum(x, { axes: 1 }), inputs: [{ shape: [3, 50, 4] }] },
  { name: 'sum', f: (x) => ops.sum(x), inputs: [{ shape: [3, 50] }] },
  { name: 'mean', f: (x) => ops.mean(x), inputs: [{ shape: [3, 50] }] },
  { name: 'reshape', f: (x) => ops.reshape(x, [-1]), inputs: [{ shape: [3, 5] }] },
  { name: 'flatten', f: ops.flatten, inputs: [images] },
  { name: 'slice', f: (x) => ops.slice(x, [1, 2], [2, 3]), inputs: [{ shape: [4, 6] }] },
  { name: 'pad', f: (x) => ops.pad(x, [[1, 0], [2, 1]], 0.5), inputs: [{ shape: [4, 6] }] }, // prettier-ignore
  {
    name: 'concat',
    f: (a, b) => ops.concat([a, b], 1),
    inputs: [{ shape: [4, 3] }, { shape: [4, 6] }],
  },
  { name: 'dropout', f: (x) => ops.dropout(x, 0.4, { seed: 3 }), inputs: [{ shape: [300] }] },
  { name: 'cast', f: (x) => ops.cast(x, x.dtype, { scale: 1.7, shift: 3 }), inputs: [{ shape: [40] }] },
  {
    name: 'maxPool2d',
    f: (x) => ops.maxPool2d(x, 3, { stride: 2, padding: 1 }),
    inputs: [images],
    roundings: { activations: 2 },
  },
  {
    name: 'avgPool2d',
    f: (x) => ops.avgPool2d(x, [3, 2], { stride: [2, 1], padding: 1, countPadding: false }),
    inputs: [images],
  },
  { name: 'globalAvgPool2d', f: ops.globalAvgPool2d, inputs: [images] },
  {
    name: 'batchNorm in training',
    f: (x, gamma, beta) => {
      const other = gamma?.dtype === 'float64' ? 'float64' : 'float32';
      const [mean, variance] = [0, 1].map((v) => tensor(new Float64Array(6).fill(v), { dtype: other }));
      return ops.batchNorm(x, gamma, beta, mean as Tensor, variance as Tensor);
    },
    inputs: [images, perChannel, perChannel],
  },
  {
    name: 'batchNorm in inference',
    f: (x, gamma, beta) => {
      const other = gamma?.dtype === 'float64' ? 'float64' : 'float32';
      const [mean, variance] = [0.2, 1.4].map((v) => tensor(new Float64Array(6).fill(v), { dtype: other }));
      return ops.batchNorm(x, gamma, beta, mean as Tensor, variance as Tensor, {
        training: false,
      });
    },
    inputs: [images, perChannel, perChannel],
  },
  {
    name: 'conv2d',
    f: (x, w, b) => ops.conv2d(x, w, b, { padding: 1 }),
    inputs: [images, filters, perFilter],
  },
  {
    name: 'conv2d with strides and groups',
    f: (x, w) => ops.conv2d(x, w, null, { stride: [1, 2], padding: [0, 1, 2, 0], groups: 2 }),
    inputs: [images, grouped],
  },
  {
    name: 'linear',
    f: (x, w, b) => ops.linear(x, w, b),
    inputs: [rows, columns, { shape: [CLASSES], role: 'parameter' }],
  },
  ...(['cosine', 'linear', 'sigmoid', 'squaredCosine'] as const).flatMap((operator): Case[] => [
    {
      name: `sphereConv2d ${operator}`,
      f: (x, w) => ops.sphereConv2d(x, w, { operator, padding: 1 }),
      inputs: [images, filters],
      roundings: angular,
    },
    {
      name: `sphereConv2d ${operator} with strides, dilation and groups`,
      f: (x, w) => ops.sphereConv2d(x, w, { operator, stride: 2, dilation: [2, 1], padding: 1, groups: 2 }),
      inputs: [images, grouped],
      roundings: angular,
    },
    {
      name: `sphereLinear ${operator}`,
      f: (x, w) => ops.sphereLinear(x, w, { operator }),
      inputs: [{ shape: [6, 30] }, { shape: [4, 30], role: 'filter' }],
      roundings: angular,
    },
  ]),
  {
    name: 'sphereConv2d with curvatures that are learnt',
    f: (x, w, k) => ops.sphereConv2d(x, w, { operator: 'sigmoid', k: k }),
    inputs: [images, filters, { ...perFilter, data: Float64Array.of(0.3, 0.5, 0.4, 0.75) }],
    roundings: angular,
  },
  {
    name: 'sphereLinear of single numbers',
    f: (x, w) => ops.sphereLinear(x, w, { epsilon: 0.5 }),
    inputs: [{ shape: [6, 1] }, { shape: [4, 1], role: 'filter' }],
  },
  {
    name: 'softmaxCrossEntropy',
    f: (x) => ops.softmaxCrossEntropy(x, labels(), { labelSmoothing: 0.1 }),
    inputs: [{ shape: [6, CLASSES] }],
    result: 'parameter',
  },
  {
    name: 'gaSoftmax',
    f: (x, w) => losses.gaSoftmax(x, w, labels(), { operator: 'linear', margin: 2 }),
    inputs: [rows, columns],
    result: 'parameter',
  },
  {
    name: 'orthogonality of unit filters',
    f: (w) => losses.orthogonality(w, { normalized: true }),
    inputs: [{ shape: [4, 7] }],
    result: 'parameter',
  },
  {
    name: 'hypersphericalEnergy',
    f: (w) => losses.hypersphericalEnergy(w, { power: 1, halfSpace: true }),
    inputs: [{ shape: [4, 7] }],
    result: 'parameter',
  },
  {
    name: 'sphereFace2',
    f: (x, w, b) => losses.sphereFace2(x, w, labels(), b, { scale: 4, lossWeight: 4 }),
    inputs: [rows, columns, { shape: [1], role: 'parameter' }],
    result: 'parameter',
  },
  {
    name: 'orthogonality',
    f: (w) => losses.orthogonality(w),
    inputs: [{ shape: [4, 7] }],
    result: 'parameter',
  },
];

/** float32 arithmetic, its sums in another order included. */
const FLOAT32_ERROR = 2e-5;

interface Outcome {
  y: Tensor;
  leaves: Tensor[];
}

/** Runs a case and its backward with the dtypes of `dtypeOf`. */
function outcome({ f, inputs }: Case, values: Float64Array[], dtypeOf: (role: Role) => DType): Outcome {
  const leaves = inputs.map(({ shape, role = 'activation' }, i) =>
    tensor(values[i] as Float64Array, { shape, dtype: dtypeOf(role), requiresGrad: true }),
  );
  const y = f(...(leaves as [Tensor, ...Tensor[]]));
  const dy = new Numbers(5).normals(y.size).map(rounder('bfloat16'));
  y.backward(tensor(y.rank === 0 ? Float64Array.of(1) : dy, { shape: y.shape, dtype: y.dtype }));
  return { y, leaves };
}

describe.each(HALF_DTYPES.flatMap((dtype) => [[dtype, 'float32'] as const, [dtype, dtype] as const]))(
  'in %s with %s filters',
  (dtype: HalfDType, filterDType) => {
    const used = cases.filter(({ inputs }) => {
      return filterDType === 'float32' || inputs.some(({ role }) => role === 'filter');
    });
    it.each(used.map((each) => [each.name, each] as const))('%s', (_, each) => {
      scope(() => {
        const dtypes: Record<Role, DType> = { activation: dtype, filter: filterDType, parameter: 'float32' };
        const numbers = new Numbers(11);
        const values = each.inputs.map(({ shape, data, role }) => {
          const drawn = data ?? numbers.normals(product(shape));
          return Float64Array.from(drawn, role === 'parameter' ? Math.fround : rounder(dtype));
        });
        const { y, leaves } = outcome(each, values, (role) => dtypes[role]);
        const exact = outcome(each, values, () => 'float64');
        const unit = roundingError(dtype);
        const errorOf = (of: DType, roundings: number): number => {
          return FLOAT32_ERROR + (of === 'float32' ? 0 : unit) + (roundings - 1) * unit;
        };

        const { result = 'activation', roundings: { activations = 1, parameters = 1 } = {} } = each;
        expect(y.dtype).toBe(dtypes[result]);
        expect(y).toBeAllClose(exact.y, errorOf(y.dtype, 1));
        leaves.forEach(({ grad, dtype: own }, i) => {
          const { role = 'activation' } = each.inputs[i] as Input;
          expect(grad?.dtype).toBe(own);
          const reference = exact.leaves[i]?.grad as Tensor;
          expect(grad).toBeAllClose(
            reference,
            errorOf(own, role === 'activation' ? activations : parameters),
          );
        });
      });
    });
  },
);

describe.each(HALF_DTYPES)('in %s', (dtype) => {
  const numbers = new Numbers(21);
  const [x, w, dy] = [images.shape, filters.shape, [2, 4, 3, 4]].map((shape) =>
    numbers.normals(product(shape)),
  );

  it.each([
    ['conv2d', (a: Tensor, b: Tensor) => ops.conv2d(a, b)],
    ['sphereConv2d', (a: Tensor, b: Tensor) => ops.sphereConv2d(a, b, { operator: 'sigmoid' })],
  ] as const)('%s rounds float32 filters to the dtype of the activations', (_, f) => {
    scope(() => {
      const results = [tensor(w as Float64Array, { shape: filters.shape, dtype: 'float32' })]
        .flatMap((full) => [full, ops.cast(ops.cast(full, dtype), 'float32'), ops.cast(full, dtype)])
        .map((weight) => {
          const input = tensor(x as Float64Array, { shape: images.shape, dtype, requiresGrad: true });
          const filter = weight.detach();
          filter.requiresGrad = true;
          const y = f(input, filter);
          y.backward(tensor(dy as Float64Array, { shape: y.shape, dtype }));
          return { y: y.dataSync(), dx: input.grad?.dataSync(), dw: filter.grad as Tensor };
        });
      const [full, rounded, half] = results as [
        (typeof results)[0],
        (typeof results)[0],
        (typeof results)[0],
      ];
      expect([full.y, full.dx, full.dw.dataSync()]).toEqual([rounded.y, rounded.dx, rounded.dw.dataSync()]);
      expect([full.y, full.dx]).toEqual([half.y, half.dx]);
      expect(ops.cast(full.dw, dtype).dataSync()).toEqual(half.dw.dataSync());
    });
  });

  it(
    'statistics, norms and the gradient of a bias are float32',
    inScope(() => {
      const input = tensor(x as Float64Array, { shape: images.shape, dtype });
      const [gamma, beta, mean, variance] = [1, 0, 0, 1].map((value) => {
        return tensor(new Float64Array(6).fill(value), { dtype: 'float32' });
      }) as [Tensor, Tensor, Tensor, Tensor];
      ops.batchNorm(input, gamma, beta, mean, variance, { momentum: 1 });
      const values = Array.from(input.dataSync());
      const exact = Float64Array.from({ length: 6 }, (_, c) => {
        return values.filter((__, i) => i % 6 === c).reduce((a, b) => a + b, 0) / (values.length / 6);
      });
      expect(mean).toBeAllClose(exact, 1e-6);

      const frozen = tensor(w as Float64Array, { shape: filters.shape, dtype: 'float32' });
      const bias = tensor([0, 0, 0, 0], { requiresGrad: true });
      const y = ops.conv2d(input, frozen, bias);
      const gradient = tensor(dy as Float64Array, { shape: y.shape, dtype });
      y.backward(gradient);
      expect(bias.grad).toBeAllClose(ops.sum(ops.cast(gradient, 'float64'), { axes: [0, 1, 2] }), 1e-6);
    }),
  );

  it(
    'a mean is right where the sum is beyond the range',
    inScope(() => {
      const many = tensor(new Float64Array(100).fill(60_000), { dtype });
      expect(ops.mean(many).itemSync()).toBe(rounder(dtype)(60_000));
    }),
  );

  it(
    'sums of many terms are rounded once',
    inScope(() => {
      const ones = tensor(new Float64Array(10_000).fill(1), { dtype });
      expect(ops.sum(ones).itemSync()).toBe(rounder(dtype)(10_000));
    }),
  );

  it(
    'NaN and infinities pass',
    inScope(() => {
      const special = tensor([NaN, Infinity, -Infinity, 1], { dtype });
      expect(Array.from(ops.relu(special).dataSync())).toEqual([NaN, Infinity, 0, 1]);
      expect(Array.from(ops.scale(special, -2).dataSync())).toEqual([NaN, -Infinity, Infinity, -2]);
      const largest = dtype === 'float16' ? 65504 : 3.3895313892515355e38;
      expect(ops.scale(tensor([largest], { dtype }), 2).itemSync()).toBe(Infinity);
    }),
  );
});
