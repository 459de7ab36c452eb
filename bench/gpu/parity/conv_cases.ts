import { noGrad, ops } from 'spherenet';
import type { Tensor } from 'spherenet';
import type { Draw } from '../draw';
import { SMALL } from '../target';
import type { Variant } from '../target';
import { PRODUCTS, shiftOf, words } from './cases';
import type { Case, Operation } from './cases';
import type { Inputs } from './inputs';

interface Geometry {
  input: [number, number, number, number];
  weight: [number, number, number, number];
  options: {
    stride: [number, number];
    padding: [number, number, number, number];
    dilation: [number, number];
    groups: number;
  };
}

/** Channels around and off the widths that tiles and 16-byte accesses are made for. */
const CHANNELS = [1, 2, 3, 4, 5, 7, 8, 12, 15, 16, 17, 24, 31, 32, 33, 40, 48, 63, 64, 65, 72, 80, 96, 100, 128, 130, 160, 192, 256, 320]; // prettier-ignore

/** Operations of a forward pass that a case may take; most are small, so that there can be many. */
const BUDGETS = SMALL ? [2e4, 6e4] : [3e5, 1e6, 1e6, 3e6, 1e7, 1e7, 4e7, 1.5e8];

/** A convolution that is cheap enough, and that `accepts` likes. */
function drawGeometry(draw: Draw, accepts: (geometry: Geometry) => boolean = () => true): Geometry {
  const budget = draw.pick(BUDGETS);
  for (;;) {
    const geometry = drawAny(draw);
    if (cost(geometry) <= budget && accepts(geometry)) return geometry;
  }
}

/**
 * Whether patches have enough numbers for a well-conditioned angle. With few, most angles are near 0 or 180 degrees, and
 * gradients are differences of nearly equal numbers: rounded operands then leave nothing to compare.
 */
function hasAngles({ input, weight }: Geometry, { name }: Variant): boolean {
  const numbers = weight[3] * Math.min(weight[1], input[1]) * Math.min(weight[2], input[2]);
  return numbers >= (name === 'float32' || name === 'float64' ? 1 : 12);
}

function positions({ input, weight, options }: Geometry): number {
  const along = (axis: 1 | 2): number => {
    const [before, after] = options.padding.slice(2 * axis - 2) as [number, number];
    const reach = options.dilation[axis - 1]! * (weight[axis] - 1) + 1;
    return Math.floor((input[axis] + before + after - reach) / options.stride[axis - 1]!) + 1;
  };
  return input[0] * along(1) * along(2);
}

function drawAny(draw: Draw): Geometry {
  const usual = draw.chance(0.5);
  const groups = usual || draw.chance(0.5) ? 1 : draw.between(2, 4);
  const side = draw.pick([1, 2, 3, 5, 7, 8, 9, 13, 14, 16, 20, 28, 32]);
  const [h, w] = [side, usual ? side : draw.between(1, 24)];
  const depthwise = !usual && draw.chance(0.15);
  const channels = depthwise ? 1 : draw.pick(CHANNELS);
  const filters = depthwise ? draw.between(1, 2) : draw.pick(CHANNELS);
  const parts = depthwise ? draw.pick([2, 8, 13, 32]) : groups;
  const square = draw.pick([1, 3, 3, 3, 5]);
  const kernel: [number, number] = usual ? [square, square] : [draw.between(1, 5), draw.between(1, 5)];
  const step = draw.pick([1, 1, 1, 2, 2, 3]);
  const stride: [number, number] = usual ? [step, step] : [draw.between(1, 3), draw.between(1, 3)];
  const dilation: [number, number] = usual ? [1, 1] : [draw.between(1, 2), draw.between(1, 2)];
  const same = (square - 1) / 2;
  const padding: [number, number, number, number] = usual
    ? [same, same, same, same]
    : [draw.between(0, 3), draw.between(0, 3), draw.between(0, 3), draw.between(0, 3)];
  const fits = (size: number, gap: number, padded: number): number =>
    Math.min(size, Math.floor((padded - 1) / gap) + 1);
  const kh = fits(kernel[0], dilation[0], h + padding[0] + padding[1]);
  const kw = fits(kernel[1], dilation[1], w + padding[2] + padding[3]);
  return {
    input: [draw.between(1, 9), h, w, channels * parts],
    weight: [filters * parts, kh, kw, channels],
    options: { stride, padding, dilation, groups: parts },
  };
}

function cost(geometry: Geometry): number {
  const [o, kh, kw, c] = geometry.weight;
  // What is written counts too, so that large images of few channels stay small as well.
  return 2 * positions(geometry) * o * (kh * kw * c + 30);
}

function describe({ input, weight, options }: Geometry): string {
  return `x ${words({ input })} w ${words({ weight })} ${words({ ...options })}`;
}

/** One image in ten is all zeros: the norm of its patches is that of epsilon. */
function images(inputs: Inputs, shape: readonly number[], blank: boolean): Tensor {
  const size = shape.slice(1).reduce((product, extent) => product * extent, 1);
  return inputs.activation(shape, {
    values: (draw, i) => (blank && i < size ? 0 : draw.normal()),
  });
}

type AngularChoice = { operator: 'cosine' | 'linear' | 'sigmoid'; k?: 'number' | 'tensor' };

function sphereCase(draw: Draw, variant: Variant, { operator, k }: AngularChoice): Case {
  const geometry = drawGeometry(draw, (drawn) => hasAngles(drawn, variant));
  const blank = draw.chance(0.1);
  const stored = draw.chance(0.3);
  const curvature = 0.1 + draw.uniform();
  const shared = draw.chance(0.3);
  const detail = { operator, ...(k && { k, curvature, shared }), blank, stored };
  return {
    text: `${describe(geometry)} ${words(detail)}`,
    kind: 'angular',
    kinds: shared ? { dk: 'remnant' } : {},
    run(inputs) {
      const { input, weight, options } = geometry;
      const x = images(inputs, input, blank);
      const deviation = Math.sqrt(2 / (weight[1] * weight[2] * weight[3]));
      const w = stored ? inputs.storedFilter(weight, { deviation }) : inputs.filter(weight, { deviation });
      const learnt =
        k === 'tensor'
          ? inputs.parameter([shared ? 1 : weight[0]], { values: (d) => curvature + 0.2 * d.uniform() })
          : null;
      const y = ops.sphereConv2d(x, w, {
        ...options,
        operator,
        ...(k && { k: learnt ?? curvature }),
      });
      return inputs.backward(y, { x, w, k: learnt });
    },
  };
}

/** SphereConv, batch norm and, in half of the cases, ReLU as one op. */
function normedCase(draw: Draw, variant: Variant): Case {
  // The statistics of a few positions are as badly conditioned as the angles of a few numbers, and so is the error of
  // one filter's sums, relative to them.
  const accepts = (drawn: Geometry): boolean =>
    hasAngles(drawn, variant) && positions(drawn) >= 24 && drawn.weight[0] >= 4;
  const geometry = drawGeometry(draw, accepts);
  const operator = draw.pick(['cosine', 'linear', 'sigmoid'] as const);
  // With rounded activations nothing is left of its gradient behind a batch norm, which cancels its terms.
  const learnt = operator === 'sigmoid' && variant.parameters === variant.dtype && draw.chance(0.5);
  const relu = draw.chance(0.5);
  return {
    text: `${describe(geometry)} ${words({ operator, learnt, relu })}`,
    kind: 'angular',
    kinds: { dk: 'remnant' },
    run(inputs) {
      const { input, weight, options } = geometry;
      const filters = [weight[0]];
      const x = inputs.activation(input);
      const w = inputs.filter(weight, { deviation: Math.sqrt(2 / (weight[1] * weight[2] * weight[3])) });
      const k = learnt ? inputs.parameter(filters, { values: (d) => 0.2 + 0.5 * d.uniform() }) : null;
      const gamma = inputs.parameter(filters, { values: (d) => 0.5 + d.uniform() });
      const beta = inputs.parameter(filters, { values: (d) => shiftOf(d, variant) });
      const runningMean = inputs.parameter(filters, { grad: false });
      const runningVariance = inputs.parameter(filters, { grad: false, values: (d) => 0.5 + d.uniform() });
      const norm = { gamma, beta, runningMean, runningVariance };
      const y = ops.sphereConv2dNorm(x, w, norm, { ...options, operator, ...(k && { k }), norm: { relu } });
      return { ...inputs.backward(y, { x, w, k, gamma, beta }), runningMean, runningVariance };
    },
  };
}

const OPERATORS = ['cosine', 'linear', 'sigmoid'] as const;

/** SphereConv with SphereNorm, ReLU or both in the pass that computes it. */
function rescaledCase(draw: Draw, variant: Variant): Case {
  const geometry = drawGeometry(draw, (drawn) => hasAngles(drawn, variant));
  const operator = draw.pick(OPERATORS);
  const [rescales, relu, stored] = [draw.chance(0.8), draw.chance(0.6), draw.chance(0.3)];
  // Without a shift, what is near 0 may end on the other side of the ReLU, which is another gradient.
  const learns = rescales || !relu || variant.name === 'float64';
  return {
    text: `${describe(geometry)} ${words({ operator, rescales, relu, stored, learns })}`,
    kind: 'angular',
    run(inputs) {
      const { input, weight, options } = geometry;
      const x = inputs.activation(input);
      const w = stored ? inputs.storedFilter(weight) : inputs.filter(weight);
      const beta = rescales ? inputs.parameter([weight[0]]) : null;
      const gamma = rescales ? inputs.parameter([weight[0]], { values: (d) => shiftOf(d, variant) }) : null;
      const rescale = beta && gamma ? { beta, gamma } : undefined;
      const compute = (): Tensor => ops.sphereConv2d(x, w, { ...options, operator, rescale, relu });
      return learns ? inputs.backward(compute(), { x, w, beta, gamma }) : { y: noGrad(compute) };
    },
  };
}

/** SphereConv normalised by given statistics, as in inference. */
function givenCase(draw: Draw, variant: Variant): Case {
  const geometry = drawGeometry(draw, (drawn) => hasAngles(drawn, variant));
  const operator = draw.pick(OPERATORS);
  const relu = draw.chance(0.5);
  return {
    text: `${describe(geometry)} ${words({ operator, relu })}`,
    kind: 'angular',
    run(inputs) {
      const { input, weight, options } = geometry;
      const [x, w, filters] = [inputs.activation(input), inputs.filter(weight), [weight[0]]];
      const norm = {
        ...{ gamma: inputs.parameter(filters), beta: inputs.parameter(filters) },
        runningMean: inputs.parameter(filters, { grad: false, values: (d) => 0.3 * d.normal() }),
        runningVariance: inputs.parameter(filters, { grad: false, values: (d) => 0.1 + d.uniform() }),
      };
      const y = noGrad(() =>
        ops.sphereConv2dNorm(x, w, norm, { ...options, operator, norm: { training: false, relu } }),
      );
      return { y };
    },
  };
}

/** What a first layer's filters get, whose input asks for no gradient; in half of the cases of few channels. */
function firstCase(draw: Draw, variant: Variant): Case {
  const few = draw.chance(0.5);
  // As in normedCase.
  const geometry = drawGeometry(
    draw,
    (drawn) =>
      hasAngles(drawn, variant) &&
      positions(drawn) >= 24 &&
      drawn.weight[0] >= 4 &&
      (!few || drawn.input[3] <= 4),
  );
  const operator = draw.pick(OPERATORS);
  const behind = draw.pick(['nothing', 'rescaling', 'batch norm'] as const);
  const relu = behind !== 'nothing' && draw.chance(0.5);
  return {
    text: `${describe(geometry)} ${words({ operator, behind, relu })}`,
    kind: 'angular',
    run(inputs) {
      const { input, weight, options } = geometry;
      const filters = [weight[0]];
      const x = inputs.activation(input, { grad: false });
      const w = inputs.filter(weight, { deviation: Math.sqrt(2 / (weight[1] * weight[2] * weight[3])) });
      if (behind === 'nothing') {
        return inputs.backward(ops.sphereConv2d(x, w, { ...options, operator }), { w });
      }
      const factor = inputs.parameter(filters, { values: (d) => 0.5 + d.uniform() });
      const shift = inputs.parameter(filters, { values: (d) => shiftOf(d, variant) });
      if (behind === 'rescaling') {
        const rescale = { beta: factor, gamma: shift };
        const y = ops.sphereConv2d(x, w, { ...options, operator, rescale, relu });
        return inputs.backward(y, { w, factor, shift });
      }
      const norm = {
        ...{ gamma: factor, beta: shift },
        runningMean: inputs.parameter(filters, { grad: false }),
        runningVariance: inputs.parameter(filters, { grad: false, values: (d) => 0.5 + d.uniform() }),
      };
      const y = ops.sphereConv2dNorm(x, w, norm, { ...options, operator, norm: { relu } });
      return inputs.backward(y, { w, factor, shift });
    },
  };
}

function plainCase(draw: Draw): Case {
  const geometry = drawGeometry(draw);
  const stored = draw.chance(0.3);
  const biased = draw.chance(0.5);
  return {
    text: `${describe(geometry)} ${words({ stored, biased })}`,
    kind: 'product',
    run(inputs) {
      const { input, weight, options } = geometry;
      const x = inputs.activation(input);
      const w = stored ? inputs.storedFilter(weight) : inputs.filter(weight);
      const bias = biased ? inputs.parameter([weight[0]]) : null;
      return inputs.backward(ops.conv2d(x, w, bias, options), { x, w, bias });
    },
  };
}

function linearCase(draw: Draw, angular: boolean): Case {
  const most = SMALL ? 12 : 300;
  const [n, d, o] = [draw.between(1, most), draw.between(12, 2 * most), draw.between(1, most)];
  const operator = draw.pick(['cosine', 'linear', 'sigmoid'] as const);
  return {
    text: `x [${n}, ${d}] w [${o}, ${d}]${angular ? ` ${operator}` : ''}`,
    kind: angular ? 'angular' : 'product',
    run(inputs) {
      const x = inputs.activation([n, d]);
      const w = inputs.filter([o, d], { deviation: Math.sqrt(2 / d) });
      if (angular) return inputs.backward(ops.sphereLinear(x, w, { operator }), { x, w });
      const bias = inputs.parameter([o]);
      return inputs.backward(ops.linear(x, w, bias), { x, w, bias });
    },
  };
}

const operation = (name: string, make: (draw: Draw, variant: Variant) => Case): Operation => ({
  name,
  variants: PRODUCTS,
  draw: make,
});

export const CONVOLUTIONS: readonly Operation[] = [
  operation('sphereConv2d cosine', (draw, variant) => sphereCase(draw, variant, { operator: 'cosine' })),
  operation('sphereConv2d linear', (draw, variant) => sphereCase(draw, variant, { operator: 'linear' })),
  operation('sphereConv2d sigmoid', (draw, variant) =>
    sphereCase(draw, variant, { operator: 'sigmoid', k: 'number' }),
  ),
  operation('sphereConv2d sigmoid, k learnt', (draw, variant) =>
    sphereCase(draw, variant, { operator: 'sigmoid', k: 'tensor' }),
  ),
  operation('sphereConv2dNorm', normedCase),
  operation('sphereConv2d rescaled', rescaledCase),
  operation('sphereConv2dNorm, given statistics', givenCase),
  operation('sphereConv2d, filters only', firstCase),
  operation('conv2d', plainCase),
  operation('sphereLinear', (draw) => linearCase(draw, true)),
  operation('linear', (draw) => linearCase(draw, false)),
];
