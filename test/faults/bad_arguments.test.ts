import { parameter } from '../../ts/nn';
import { sgdStep } from '../../ts/ops/optimizers';
import { SGD } from '../../ts/optim';
import { bf16, describeBadCalls, f16, f32, f64, labels, wrong } from '../support/bad_calls';
import {
  device,
  full,
  losses,
  memory,
  ops,
  random,
  scope,
  Generator,
  tensor,
  zeros,
} from '../support/library';
import type { Shape } from '../support/library';

describeBadCalls({
  'creating tensors': [
    [() => zeros([0]), 'zeros: shape', 'at least 1', '[0]'],
    [() => zeros([2, -1]), 'zeros: shape', 'at least 1', '[2, -1]'],
    [() => zeros([1.5]), 'zeros: shape', 'whole numbers', '[1.5]'],
    [() => zeros([1, 1, 1, 1, 1, 1, 1, 1, 1]), 'zeros: shape', 'at most 8', '[1, 1'],
    [() => zeros(wrong('3')), 'zeros: shape', 'an array', "the string '3'"],
    [() => zeros(wrong(null)), 'zeros: shape', 'an array', 'null'],
    [() => zeros([2 ** 16, 2 ** 15]), 'zeros: shape', 'fewer than 2^31 elements', '2147483648'],
    [() => zeros([2 ** 31], { dtype: 'uint8' }), 'zeros: shape', 'fewer than 2^31 elements'],
    [() => full([1], wrong('x')), 'full: value', 'a number', "the string 'x'"],
    [
      () => zeros([1], { dtype: wrong('float8') }),
      'zeros: dtype',
      "'float32', 'float64'",
      "the string 'float8'",
    ],
    [() => zeros([1], { device: wrong('gpu') }), 'zeros: device', "'cpu', 'cuda'", "the string 'gpu'"],
    [() => tensor([[1, 2], [3]]), 'tensor: values', '[2, 2]'],
    [() => tensor([1, [2]]), 'tensor: values', '[2]'],
    [() => tensor([[1], 2]), 'tensor: values', '[2, 1]'],
    [() => tensor([[1, 2], [3, 4, 5], [6]]), 'tensor: values', '[3, 2]'],
    [() => tensor(wrong(['a'])), 'tensor: values', 'numbers'],
    [() => tensor(wrong('abc')), 'tensor: values', 'nested arrays', "the string 'abc'"],
    [() => tensor(wrong(new Int16Array(2))), 'tensor: values', 'Float32Array', 'Int16Array of 2 elements'],
    [() => tensor([1, 2, 3], { shape: [2] }), 'tensor: shape', 'of 3 elements', '[2]'],
    [() => tensor([]), 'tensor: shape', 'at least 1', '[0]'],
    [() => tensor(Int32Array.of(1), { requiresGrad: true }), 'requiresGrad', 'float32 or float64', 'int32'],
    [() => random.uniform([2], { low: 1, high: 1 }), 'random.uniform: high', 'above low = 1', '1'],
    [() => random.normal([2], { deviation: -1 }), 'random.normal: deviation', 'at least 0', '-1'],
    [() => random.normal([2], { dtype: 'int32' }), 'random.normal: dtype', "'float32' or 'float64'", 'int32'],
    [() => new Generator(-1), 'Generator: seed', 'from 0 to', '-1'],
    [() => new Generator(0.5), 'Generator: seed', 'a whole number', '0.5'],
  ],
  '16-bit dtypes': [
    [() => ops.add(bf16(2), f16(2)), 'add: b', 'bfloat16', 'a float16 tensor'],
    [() => ops.mul(bf16(2), f32(2)), 'mul: b', 'bfloat16, as the other arguments are', 'float32'],
    [() => ops.mul(f32(2), bf16(2)), 'mul: b', 'float32, as the other arguments are', 'bfloat16'],
    [
      () => ops.conv2d(bf16(1, 3, 3, 1), f16(2, 1, 1, 1)),
      'conv2d: weight',
      'float32 or bfloat16, as filters are beside bfloat16',
      'float16',
    ],
    [() => ops.conv2d(f32(1, 3, 3, 1), bf16(2, 1, 1, 1)), 'conv2d: weight', 'float32', 'bfloat16'],
    [
      () => ops.conv2d(bf16(1, 3, 3, 1), f32(2, 1, 1, 1), bf16(2)),
      'conv2d: bias',
      'float32, as parameters are beside bfloat16',
      'bfloat16',
    ],
    [() => ops.linear(f16(2, 3), f64(4, 3)), 'linear: weight', 'float32 or float16', 'float64'],
    [() => ops.sphereConv2d(f16(1, 3, 3, 2), f64(2, 1, 1, 2)), 'sphereConv2d: weight', 'float16', 'float64'],
    [
      () => ops.sphereLinear(f16(2, 3), f32(4, 3), { operator: 'sigmoid', k: f16(4) }),
      'sphereLinear: k',
      'float32, as parameters are beside float16',
      'float16',
    ],
    [
      () => ops.batchNorm(bf16(2, 3), bf16(3), f32(3), f32(3), f32(3)),
      'batchNorm: gamma',
      'float32, as parameters are beside bfloat16',
      'bfloat16',
    ],
    [() => losses.gaSoftmax(f16(1, 4), bf16(3, 4), labels(0)), 'gaSoftmax: weight', 'float16', 'bfloat16'],
    [() => ops.concat([f16(2), bf16(2)], 0), 'concat: tensors[1]', 'float16', 'bfloat16'],
    [() => f16(2).assign(f32(2)), 'Tensor.assign: source', 'float16', 'float32'],
    [() => f16(2).dataSync('float32'), 'Tensor.dataSync: dtype', "'float16'", "the string 'float32'"],
    [
      () => random.normal([2], { dtype: 'bfloat16' }),
      'random.normal: dtype',
      "'float32' or 'float64'",
      'bfloat16',
    ],
    [
      () => random.uniform([2], { dtype: 'float16' }),
      'random.uniform: dtype',
      "'float32' or 'float64'",
      'float16',
    ],
    [() => parameter(bf16(2)), 'parameter: tensor', 'a float32 or float64 tensor', 'bfloat16'],
    [() => new SGD([bf16(2)], { lr: 1 }), 'SGD: params', 'float32 or float64 tensors only', 'bfloat16'],
    [() => tensor(wrong(new Uint16Array(2)), { dtype: 'float16' }), 'tensor: values', 'Uint16Array'],
  ],
  'arithmetic and elementwise ops': [
    [() => ops.add(f32(2, 3), f32(2, 4)), 'add: b', 'broadcasts with [2, 3]', '[2, 4]'],
    [() => ops.mul(f32(2), f64(2)), 'mul: b', 'float32', 'float64'],
    [() => ops.sub(labels(1), 1), 'sub: a', 'float32 or float64', 'an int32 tensor [1]'],
    [() => ops.add(wrong([1]), f32(1)), 'add: a', 'a tensor', '[1]'],
    [() => ops.add(f32(1), wrong('2')), 'add: b', 'a tensor', "the string '2'"],
    [() => ops.add(f32(1), NaN), 'add', 'finite', 'NaN'],
    [() => ops.scale(f32(1), Infinity), 'scale: factor', 'finite', 'Infinity'],
    [() => ops.mul(f32(2 ** 16, 1), f32(1, 2 ** 15)), 'mul: result', 'fewer than 2^31', '2147483648'],
    [() => ops.relu(wrong(undefined)), 'relu: x', 'a tensor', 'undefined'],
    [() => ops.leakyRelu(f32(1), -0.1), 'leakyRelu: slope', 'at least 0', '-0.1'],
    [() => ops.abs(labels(1)), 'abs: x', 'float32 or float64', 'int32'],
    [() => ops.square(wrong({})), 'square: x', 'a tensor', 'an object'],
    [() => ops.div(f32(2, 3), f32(2)), 'div: b', 'broadcasts with [2, 3]', '[2]'],
    [() => ops.div(f32(1), NaN), 'div: b', 'finite', 'NaN'],
    [() => ops.exp(labels(1)), 'exp: x', 'float32 or float64', 'int32'],
    [() => ops.acos(wrong(1)), 'acos: x', 'a tensor', '1'],
    [() => ops.power(f32(1), Infinity), 'power: exponent', 'finite', 'Infinity'],
    [() => ops.power(labels(1), 2), 'power: x', 'float32 or float64', 'int32'],
    [() => ops.oneHot(f32(2), 3), 'oneHot: labels', 'int32', 'float32'],
    [() => ops.oneHot(labels(0, 3), 3), 'oneHot: labels', 'from 0 to 2', '3 at index 1'],
    [() => ops.oneHot(labels(0), 0), 'oneHot: classes', 'at least 1', '0'],
    [() => ops.oneHot(labels(0), 2, wrong('int32')), 'oneHot: dtype', 'float32 or float64', "'int32'"],
    [() => ops.cast(f32(1), wrong('half')), 'cast: dtype', "'uint8'", "the string 'half'"],
    [() => ops.cast(wrong(null), 'float32'), 'cast: x', 'a tensor', 'null'],
    [
      () => ops.randomCropFlip(f32(2, 4, 4), [2, 2]),
      'randomCropFlip: images',
      '[N, H, W, C]',
      'float32 tensor [2, 4, 4]',
    ],
    [() => ops.randomCropFlip(f32(1, 4, 4, 1), wrong(4)), 'randomCropFlip: size', '[height, width]', '4'],
    [
      () => ops.randomCropFlip(f32(1, 4, 4, 1), [9, 4], { padding: 2 }),
      'randomCropFlip: size[0]',
      'from 1 to 8',
      '9',
    ],
    [() => ops.randomCropFlip(f32(1, 4, 4, 1), [4, 0]), 'randomCropFlip: size[1]', 'from 1 to 4', '0'],
    [
      () => ops.randomCropFlip(f32(1, 4, 4, 1), [4, 4], { padding: -1 }),
      'randomCropFlip: padding',
      'at least 0',
      '-1',
    ],
    [
      () => ops.randomCropFlip(f32(1, 4, 4, 1), [4, 4], { flip: wrong(1) }),
      'randomCropFlip: flip',
      'true or false',
      '1',
    ],
    [
      () => ops.randomCropFlip(f32(1, 4, 4, 1), [4, 4], { seed: 0.5 }),
      'randomCropFlip: seed',
      'a whole number',
      '0.5',
    ],
    [() => ops.dropout(f32(1), 1), 'dropout: p', '[0, 1)', '1'],
    [() => ops.dropout(f32(1), -0.5), 'dropout: p', '[0, 1)', '-0.5'],
    [() => ops.dropout(f32(1), 0.5, { seed: -1 }), 'dropout: seed', 'from 0', '-1'],
  ],
  'reductions and movement': [
    [() => ops.sum(f32(2, 3), { axes: 2 }), 'sum: axes', 'from -2 to 1', '2'],
    [() => ops.mean(f32(2, 3), { axes: [0, -3] }), 'mean: axes', 'from -2 to 1', '-3'],
    [() => ops.sum(f32(2), { axes: wrong('all') }), 'sum: axes', 'array', "the string 'all'"],
    [() => ops.reshape(f32(2, 3), [4]), 'reshape: shape', 'of 6 elements, as [2, 3] has', '[4]'],
    [() => ops.reshape(f32(2, 3), [-1, -1]), 'reshape: shape', '[-1, -1]'],
    [() => ops.reshape(f32(2, 3), [-1, 4]), 'reshape: shape', '[-1, 4]'],
    [() => ops.reshape(f32(2, 3), wrong(6)), 'reshape: shape', 'an array', '6'],
    [() => ops.reshape(wrong(undefined), [1]), 'reshape: x', 'a tensor', 'undefined'],
    [() => ops.flatten(zeros([])), 'flatten: x', 'at least 1 axis', '[]'],
    [() => ops.slice(f32(2, 3), [0], [1, 1]), 'slice: begin', '2 numbers', '[0]'],
    [() => ops.slice(f32(2, 3), [0, 3], [1, 1]), 'slice: begin[1]', 'from 0 to 2', '3'],
    [() => ops.slice(f32(2, 3), [1, 1], [1, 3]), 'slice: size[1]', 'from 1 to 2', '3'],
    [() => ops.slice(wrong(null), [0], [1]), 'slice: x', 'a tensor', 'null'],
    [() => ops.pad(f32(2), [[0, -1]]), 'pad: padding[0][1]', 'at least 0', '-1'],
    [() => ops.pad(f32(2), []), 'pad: padding', '1 pairs', '[]'],
    [() => ops.pad(f32(2), wrong([1])), 'pad: padding', '[before, after]'],
    [() => ops.pad(wrong(null), []), 'pad: x', 'a tensor', 'null'],
    [
      () =>
        ops.pad(f32(2, 2), [
          [2 ** 30, 0],
          [0, 0],
        ]),
      'pad: result',
      'fewer than 2^31',
    ],
    [() => ops.concat([], 0), 'concat: tensors', 'at least one tensor', '[]'],
    [() => ops.concat(wrong(null), 0), 'concat: tensors', 'at least one tensor', 'null'],
    [() => ops.concat([wrong(3)], 0), 'concat: tensors[0]', 'a tensor', '3'],
    [() => ops.concat([f32(2, 3), f32(2, 4)], 0), 'concat: tensors[1]', '[2, 3] but for axis 0', '[2, 4]'],
    [() => ops.concat([f32(2), f64(2)], 0), 'concat: tensors[1]', 'float32', 'float64'],
    [() => ops.concat([f32(2)], 1), 'concat: axis', 'from -1 to 0', '1'],
  ],
  losses: [
    [
      () => ops.softmaxCrossEntropy(f32(2, 3, 1), labels(0, 1)),
      'softmaxCrossEntropy: logits',
      '[N, C]',
      '[2, 3, 1]',
    ],
    [() => ops.softmaxCrossEntropy(f32(2, 3), f32(2)), 'softmaxCrossEntropy: labels', 'int32', 'float32'],
    [() => ops.softmaxCrossEntropy(f32(2, 3), labels(0)), 'softmaxCrossEntropy: labels', '[2]', '[1]'],
    [
      () => ops.softmaxCrossEntropy(f32(2, 3), labels(0, 3)),
      'softmaxCrossEntropy: labels',
      'from 0 to 2',
      '3 at index 1',
    ],
    [
      () => ops.softmaxCrossEntropy(f32(2, 3), labels(-1, 0)),
      'softmaxCrossEntropy: labels',
      '3 classes',
      '-1 at index 0',
    ],
    [
      () => ops.softmaxCrossEntropy(f32(2, 3), ops.cast(tensor([0, 7]), 'int32')),
      'softmaxCrossEntropy: labels',
      '7 at index 1',
    ],
    [
      () => ops.softmaxCrossEntropy(f32(2, 3), ops.slice(labels(0, 1, 5), [1], [2])),
      'softmaxCrossEntropy: labels',
      '5 at index 1',
    ],
    [
      () => ops.softmaxCrossEntropy(f32(2, 3), labels(0, 1), { labelSmoothing: 1 }),
      'softmaxCrossEntropy: labelSmoothing',
      '[0, 1)',
      '1',
    ],
    [() => losses.gaSoftmax(f32(6), f32(3, 4), labels(0)), 'gaSoftmax: features', '[N, D]', '[6]'],
    [() => losses.gaSoftmax(f32(1, 5), f32(3, 4), labels(0)), 'gaSoftmax: weight', '[3, 5]', '[3, 4]'],
    [() => losses.gaSoftmax(f32(1, 4), f64(3, 4), labels(0)), 'gaSoftmax: weight', 'float32', 'float64'],
    [
      () => losses.gaSoftmax(f32(1, 4), f32(3, 4), labels(3)),
      'gaSoftmax: labels',
      'from 0 to 2',
      '3 at index 0',
    ],
    [() => losses.gaSoftmax(f32(2, 4), f32(3, 4), labels(0)), 'gaSoftmax: labels', '[2]', '[1]'],
    [
      () => losses.gaSoftmax(f32(1, 4), f32(3, 4), labels(0), { margin: 0.5 }),
      'gaSoftmax: margin',
      'at least 1',
      '0.5',
    ],
    [
      () => losses.gaSoftmax(f32(1, 4), f32(3, 4), labels(0), { margin: NaN }),
      'gaSoftmax: margin',
      'at least 1',
      'NaN',
    ],
    [
      () => losses.gaSoftmax(f32(1, 4), f32(3, 4), labels(0), { operator: wrong('relu') }),
      'gaSoftmax: operator',
      "the string 'relu'",
    ],
    [
      () => losses.gaSoftmax(f32(1, 4), f32(3, 4), labels(0), { operator: 'sigmoid', k: wrong(f32(1)) }),
      'gaSoftmax: k',
      'a number',
      '[1]',
    ],
    [
      () => losses.gaSoftmax(f32(2 ** 16, 1), f32(2 ** 15, 1), tensor(new Int32Array(2 ** 16))),
      'gaSoftmax: result',
      'fewer than 2^31',
      '2147483648',
    ],
    [() => losses.orthogonality(f32(4)), 'orthogonality: weight', 'at least 2 axes', '[4]'],
    [() => losses.hypersphericalEnergy(f32(4)), 'hypersphericalEnergy: weight', 'at least 2 axes', '[4]'],
    [() => losses.hypersphericalEnergy(f32(1, 4)), 'hypersphericalEnergy: weight', '2 filters', '[1, 4]'],
    [
      () => losses.hypersphericalEnergy(f32(3, 4), { power: wrong(3) }),
      'hypersphericalEnergy: power',
      '0, 1 or 2',
      '3',
    ],
    [() => losses.total([f32(1), f32(2)]), 'total: terms[1]', 'a scalar', '[2]'],
    [
      () => losses.sphereFace2(f32(4), f32(3, 4), labels(0), f32(1)),
      'sphereFace2: features',
      '[N, D]',
      '[4]',
    ],
    [
      () => losses.sphereFace2(f32(1, 4), f32(3, 5), labels(0), f32(1)),
      'sphereFace2: weight',
      '[3, 4]',
      '[3, 5]',
    ],
    [
      () => losses.sphereFace2(f32(1, 4), f32(3, 4), labels(3), f32(1)),
      'sphereFace2: labels',
      'from 0 to 2',
      '3 at index 0',
    ],
    [() => losses.sphereFace2(f32(1, 4), f32(3, 4), labels(0), f32(3)), 'sphereFace2: bias', '[1]', '[3]'],
    [
      () => losses.sphereFace2(f32(1, 4), f32(3, 4), labels(0), f32(1), { alpha: 1 }),
      'sphereFace2: alpha',
      '(0, 1)',
      '1',
    ],
    [() => losses.sphereFace2Bias(1), 'sphereFace2Bias: classes', 'at least 2', '1'],
    [() => losses.orthogonality(f32(2 ** 16, 1)), 'orthogonality: result', 'fewer than 2^31', '4294967296'],
  ],
  'assignment, optimiser steps and the device': [
    [() => f32(2).assign([1]), 'Tensor.assign: source', '2 numbers', '1'],
    [() => f32(2).assign(f64(2)), 'Tensor.assign: source', 'float32 tensor [2]', 'float64 tensor [2]'],
    [() => f32(2).assign(f32(2, 1)), 'Tensor.assign: source', '[2]', '[2, 1]'],
    [() => f32(2).assign(wrong('12')), 'Tensor.assign: source', 'numbers', "the string '12'"],
    [
      () =>
        sgdStep([f32(2)], [f32(3)], [null], {
          lr: 1,
          momentum: 0,
          dampening: 0,
          weightDecay: 0,
          nesterov: false,
          firstStep: true,
        }),
      'sgdStep: gradients[0]',
      '[2]',
      '[3]',
    ],
    [
      () =>
        sgdStep([f32(2)], [], [null], {
          lr: 1,
          momentum: 0,
          dampening: 0,
          weightDecay: 0,
          nesterov: false,
          firstStep: true,
        }),
      'sgdStep: gradients',
      '1',
      '0',
    ],
    [
      () => {
        device.cpu.threads = 0;
      },
      'device.cpu: threads',
      'from 1 to 256',
      '0',
    ],
    [
      () => {
        device.cpu.threads = 2.5;
      },
      'device.cpu: threads',
      'from 1 to 256',
      '2.5',
    ],
    [() => device.use(wrong('tpu')), 'device.use: name', "'cpu', 'cuda'", "the string 'tpu'"],
  ],
});

describe('an empty batch', () => {
  it.each<[string, Shape]>([
    ['of images', [0, 28, 28, 1]],
    ['of features', [0, 64]],
    ['of labels', [0]],
  ])('%s cannot be made', (_, shape) => {
    for (const make of [() => zeros(shape), () => tensor(new Float32Array(), { shape })]) {
      expect(make).toThrowSphereNetError(
        'SPHERENET_ARGUMENT',
        'shape',
        'at least 1',
        `[${shape.join(', ')}]`,
      );
    }
  });
});

describe('an op that refuses its arguments', () => {
  it('has allocated nothing and written nothing', () => {
    scope(() => {
      const [big, small] = [f32(2 ** 16, 1), f32(2 ** 15, 1)];
      const target = tensor(new Int32Array(2 ** 16));
      const before = memory();
      const calls = [
        () => ops.linear(big, small),
        () => ops.sphereLinear(big, small),
        () => ops.mul(big, ops.reshape(small, [1, 2 ** 15])),
        () => losses.gaSoftmax(big, small, target),
        () => losses.orthogonality(big),
        () => zeros([2 ** 31]),
      ];
      for (const call of calls) {
        expect(() => scope(call)).toThrowSphereNetError('SPHERENET_ARGUMENT', '2^31');
        expect(memory()).toEqual(before);
      }
    });
  });
});

describe("device 'cuda' where there is none", () => {
  it('is refused with the reason, everywhere it can be named', () => {
    if (device.cuda.isAvailable()) return;
    const { reason } = device.cuda.status();
    expect(reason.length).toBeGreaterThan(10);
    const uses = [
      () => device.use('cuda'),
      () => zeros([1], { device: 'cuda' }),
      () => tensor([1], { device: 'cuda' }),
    ];
    for (const use of uses)
      expect(use).toThrowSphereNetError('SPHERENET_DEVICE', "device 'cuda' is not available", reason);
    expect(device.current()).toBe('cpu');
  });
});
