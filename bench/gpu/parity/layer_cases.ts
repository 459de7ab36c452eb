import { losses, ops, optim, zeros, ones } from 'spherenet';
import type { Tensor } from 'spherenet';
import type { Draw } from '../draw';
import { SMALL } from '../target';
import type { Variant } from '../target';
import { ACTIVATIONS, PRODUCTS, shiftOf, WIDE, words } from './cases';
import type { Case, Operation } from './cases';
import type { Inputs } from './inputs';

function poolCase(draw: Draw, kind: 'max' | 'average' | 'global'): Case {
  const most = SMALL ? 8 : 30;
  const input = [draw.between(1, 4), draw.between(1, most), draw.between(1, most), draw.between(1, 2 * most)];
  const [, h, w] = input as [number, number, number, number];
  const kernel: [number, number] = [Math.min(draw.between(1, 4), h), Math.min(draw.between(1, 4), w)];
  const stride: [number, number] = [draw.between(1, 4), draw.between(1, 4)];
  const pads = [kernel[0], kernel[0], kernel[1], kernel[1]].map((size) => draw.between(0, size - 1));
  const padding = pads as [number, number, number, number];
  const countPadding = draw.chance(0.5);
  const options = { stride, padding };
  return {
    text: words(kind === 'global' ? { input } : { input, kernel, ...options, countPadding }),
    kind: 'sum',
    ...(kind === 'max' && { kinds: { y: 'exact' } as const }),
    run(inputs) {
      const x = inputs.activation(input);
      const y =
        kind === 'global'
          ? ops.globalAvgPool2d(x)
          : kind === 'max'
            ? ops.maxPool2d(x, kernel, options)
            : ops.avgPool2d(x, kernel, { ...options, countPadding });
      return inputs.backward(y, { x });
    },
  };
}

function batchNormCase(draw: Draw, training: boolean): Case {
  const channels = draw.pick(SMALL ? [1, 3, 16] : [1, 3, 8, 16, 31, 64, 96, 128, 257, 512]);
  const relu = training && draw.chance(0.5);
  const rows = draw.between(
    relu ? 64 : 8,
    Math.max(relu ? 80 : 16, Math.min(SMALL ? 40 : 3000, Math.floor(300_000 / channels))),
  );
  const shape = draw.chance(0.5) ? [rows, channels] : [Math.ceil(rows / 4), 2, 2, channels];
  return {
    text: words({ shape, training, relu }),
    kind: 'sum',
    run(inputs) {
      // With a ReLU two groups with a gap between them, in which it bends.
      const grouped = (d: Draw): number => (d.chance(0.5) ? 1 : -1) * (1 + 0.3 * d.uniform());
      const x = inputs.activation(shape, { values: relu ? grouped : (d) => 2 * d.normal() + 0.5 });
      const gamma = inputs.parameter([channels], { values: (d) => 0.5 + d.uniform() });
      const beta = inputs.parameter([channels], { deviation: relu ? 0.02 : 1 });
      const runningMean = inputs.parameter([channels], { grad: false });
      const runningVariance = inputs.parameter([channels], { grad: false, values: (d) => 0.5 + d.uniform() });
      const y = ops.batchNorm(x, gamma, beta, runningMean, runningVariance, { training, relu });
      return { ...inputs.backward(y, { x, gamma, beta }), runningMean, runningVariance };
    },
  };
}

function drawScores(draw: Draw): [number, number] {
  return [draw.between(1, SMALL ? 6 : 300), draw.between(2, draw.pick(SMALL ? [4, 12] : [10, 100, 1200]))];
}

function crossEntropyCase(draw: Draw): Case {
  const [n, classes] = drawScores(draw);
  const labelSmoothing = draw.pick([0, 0.1]);
  return {
    text: words({ n, classes, labelSmoothing }),
    kind: 'sum',
    run(inputs) {
      const logits = inputs.activation([n, classes], { deviation: 3 });
      const labels = inputs.labels(n, classes);
      return inputs.backward(ops.softmaxCrossEntropy(logits, labels, { labelSmoothing }), { logits });
    },
  };
}

function gaSoftmaxCase(draw: Draw): Case {
  const [n, classes] = drawScores(draw);
  const features = draw.between(2, SMALL ? 9 : 200);
  const operator = draw.pick(['cosine', 'linear', 'sigmoid'] as const);
  const margin = draw.pick([1, 2, 3.5, 4]);
  const [lambda, labelSmoothing] = [draw.pick([0, 0, 5]), draw.pick([0, 0, 0.1])];
  const options = { operator, margin, lambda, labelSmoothing };
  return {
    text: words({ n, classes, features, ...options }),
    kind: 'angular',
    run(inputs) {
      const x = inputs.activation([n, features]);
      const w = inputs.filter([classes, features]);
      const labels = inputs.labels(n, classes);
      return inputs.backward(losses.gaSoftmax(x, w, labels, options), { x, w });
    },
  };
}

function marginCase(draw: Draw): Case {
  const [n, classes] = drawScores(draw);
  const features = draw.between(2, SMALL ? 9 : 200);
  const loss = draw.pick(['normFace', 'cosFace', 'arcFace', 'sphereFace', 'sphereFaceR'] as const);
  const options = { scale: draw.pick([8, 30]), labelSmoothing: draw.pick([0, 0, 0.1]) };
  return {
    text: words({ n, classes, features, loss, ...options }),
    kind: 'angular',
    run(inputs) {
      const x = inputs.activation([n, features]);
      const w = inputs.filter([classes, features]);
      const labels = inputs.labels(n, classes);
      return inputs.backward(losses[loss](x, w, labels, options), { x, w });
    },
  };
}

function orthogonalityCase(draw: Draw): Case {
  const [filters, length] = [draw.between(4, SMALL ? 8 : 130), draw.between(8, SMALL ? 20 : 600)];
  return {
    text: words({ filters, length }),
    kind: 'product',
    run(inputs) {
      const w = inputs.parameter([filters, length], { deviation: Math.sqrt(2 / length) });
      return inputs.backward(losses.orthogonality(w), { w });
    },
  };
}

function energyCase(draw: Draw): Case {
  const [filters, length] = [draw.between(4, SMALL ? 8 : 130), draw.between(8, SMALL ? 20 : 600)];
  const options = {
    power: draw.pick([0, 1, 2] as const),
    angular: draw.chance(0.5),
    halfSpace: draw.chance(0.5),
  };
  return {
    text: words({ filters, length, ...options }),
    kind: 'angular',
    run(inputs) {
      const w = inputs.parameter([filters, length]);
      return inputs.backward(losses.hypersphericalEnergy(w, options), { w });
    },
  };
}

function sphereFace2Case(draw: Draw): Case {
  const [n, classes] = [draw.between(1, SMALL ? 6 : 60), draw.between(2, SMALL ? 9 : 120)];
  const features = draw.between(2, SMALL ? 20 : 300);
  return {
    text: words({ n, classes, features }),
    kind: 'angular',
    // The own class's terms and the others' have unlike signs.
    kinds: { db: 'remnant' },
    run(inputs) {
      const x = inputs.activation([n, features]);
      const w = inputs.filter([classes, features]);
      const b = inputs.parameter([1]);
      const loss = losses.sphereFace2(x, w, inputs.labels(n, classes), b, { scale: 4, lossWeight: 4 });
      return inputs.backward(loss, { x, w, b });
    },
  };
}

/** Three steps over parameters of several sizes, one of them a single number. */
function optimizerCase(draw: Draw, name: 'SGD' | 'Adam'): Case {
  const sizes = Array.from({ length: draw.between(1, 30) }, () => draw.between(1, SMALL ? 40 : 20_000));
  const sgd = {
    momentum: draw.pick([0, 0.9]),
    weightDecay: draw.pick([0, 5e-4]),
    dampening: 0,
    nesterov: false,
  };
  if (sgd.momentum > 0) {
    if (draw.chance(0.5)) sgd.nesterov = true;
    else sgd.dampening = draw.pick([0, 0.1]);
  }
  const adam = { weightDecay: draw.pick([0, 1e-2]) };
  return {
    text: words({ name, sizes, ...(name === 'SGD' ? sgd : adam) }),
    kind: 'sum',
    run(inputs) {
      const parameters = [1, ...sizes].map((size) => inputs.parameter([size]));
      const optimizer =
        name === 'SGD' ? new optim.SGD(parameters, { lr: 0.1, ...sgd }) : new optim.Adam(parameters, adam);
      for (let step = 0; step < 3; ++step) {
        for (const parameter of parameters) parameter.grad = gradientOf(inputs, parameter);
        optimizer.step();
      }
      optimizer.dispose();
      return Object.fromEntries(parameters.map((parameter, i) => [`parameter ${i}`, parameter.detach()]));
    },
  };
}

function gradientOf(inputs: Inputs, parameter: Tensor): Tensor {
  return inputs.parameter(parameter.shape, { grad: false });
}

/** A layer, batch norm, ReLU and pool, each an op of its own. */
function blockCase(draw: Draw, variant: Variant, angular: boolean): Case {
  const [channels, filters] = [draw.pick([3, 8, 17, 32]), draw.pick(SMALL ? [8, 16] : [8, 24, 64, 96])];
  const side = draw.pick(SMALL ? [4, 6] : [6, 8, 13, 16]);
  const n = draw.between(2, SMALL ? 3 : 6);
  return {
    text: words({ angular, input: [n, side, side, channels], filters }),
    kind: 'angular',
    run(inputs) {
      const { device } = inputs.place;
      const like = { device, dtype: inputs.place.parameters };
      const x = inputs.activation([n, side, side, channels]);
      const weight = [filters, 3, 3, channels];
      const w = inputs.filter(weight, { deviation: Math.sqrt(2 / (9 * channels)) });
      const gamma = inputs.parameter([filters], { values: (d) => 0.5 + d.uniform() });
      const beta = inputs.parameter([filters], { values: (d) => shiftOf(d, variant) });
      const running = [zeros([filters], like), ones([filters], like)] as const;
      const conv = angular
        ? ops.sphereConv2d(x, w, { padding: 1, operator: 'sigmoid', k: 0.3 })
        : ops.conv2d(x, w, null, { padding: 1 });
      const normed = ops.batchNorm(conv, gamma, beta, ...running, { relu: false });
      return inputs.backward(ops.avgPool2d(ops.relu(normed), 2), { x, w, gamma, beta });
    },
  };
}

const operation = (name: string, variants: Operation['variants'], draw: Operation['draw']): Operation => ({
  name,
  variants,
  draw,
});

export const LAYERS: readonly Operation[] = [
  operation('maxPool2d', ACTIVATIONS, (draw) => poolCase(draw, 'max')),
  operation('avgPool2d', ACTIVATIONS, (draw) => poolCase(draw, 'average')),
  operation('globalAvgPool2d', ACTIVATIONS, (draw) => poolCase(draw, 'global')),
  operation('batchNorm, training', ACTIVATIONS, (draw) => batchNormCase(draw, true)),
  operation('batchNorm, inference', ACTIVATIONS, (draw) => batchNormCase(draw, false)),
  operation('softmaxCrossEntropy', WIDE, crossEntropyCase),
  operation('gaSoftmax', ['float32', 'tf32', 'float64'], gaSoftmaxCase),
  operation('margin losses', ['float32', 'tf32', 'float64'], marginCase),
  operation('orthogonality', ['float32', 'tf32', 'float64'], orthogonalityCase),
  operation('hypersphericalEnergy', ['float32', 'tf32', 'float64'], energyCase),
  operation('sphereFace2', ['float32', 'tf32', 'float64'], sphereFace2Case),
  operation('SGD', WIDE, (draw) => optimizerCase(draw, 'SGD')),
  operation('Adam', WIDE, (draw) => optimizerCase(draw, 'Adam')),
  operation('conv2d, batchNorm, relu, pool', PRODUCTS, (draw, variant) => blockCase(draw, variant, false)),
  operation('sphereConv2d, batchNorm, relu, pool', PRODUCTS, (draw, variant) =>
    blockCase(draw, variant, true),
  ),
];
