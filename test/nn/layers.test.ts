import * as nn from '../../ts/nn';
import { inScope } from '../support/in_scope';
import { Generator, ones, ops, random, tensor } from '../support/library';
import type { Tensor } from '../support/library';

const image = (): Tensor => random.normal([2, 8, 6, 4], { generator: new Generator(1) });

describe('shapes', () => {
  const cases: [name: string, make: () => nn.Module, shape: number[]][] = [
    ['SphereConv2d', () => new nn.SphereConv2d(4, 5, 3), [2, 6, 4, 5]],
    ['SphereConv2d padded', () => new nn.SphereConv2d(4, 5, 3, { padding: 1 }), [2, 8, 6, 5]],
    ['SphereConv2d [3, 2]', () => new nn.SphereConv2d(4, 5, [3, 2]), [2, 6, 5, 5]],
    [
      'SphereConv2d strided',
      () => new nn.SphereConv2d(4, 5, 3, { stride: [2, 1], padding: [1, 0] }),
      [2, 4, 4, 5],
    ],
    ['SphereConv2d lopsided', () => new nn.SphereConv2d(4, 5, 3, { padding: [0, 1, 0, 2] }), [2, 7, 6, 5]],
    ['SphereConv2d dilated', () => new nn.SphereConv2d(4, 5, 3, { dilation: 2 }), [2, 4, 2, 5]],
    ['SphereConv2d in groups', () => new nn.SphereConv2d(4, 6, 1, { groups: 2 }), [2, 8, 6, 6]],
    ['Conv2d', () => new nn.Conv2d(4, 5, 3, { padding: 1, stride: 2 }), [2, 4, 3, 5]],
    ['BatchNorm2d', () => new nn.BatchNorm2d(4), [2, 8, 6, 4]],
    ['SphereNorm', () => new nn.SphereNorm(4), [2, 8, 6, 4]],
    [
      'SphereNorm of a SphereLinear',
      () => new nn.Sequential(new nn.Flatten(), new nn.SphereNorm(new nn.SphereLinear(192, 7))),
      [2, 7],
    ],
    ['SphereNorm of a SphereConv2d', () => new nn.SphereNorm(new nn.SphereConv2d(4, 5, 3)), [2, 6, 4, 5]],
    ['ReLU', () => new nn.ReLU(), [2, 8, 6, 4]],
    ['LeakyReLU', () => new nn.LeakyReLU(0.2), [2, 8, 6, 4]],
    ['MaxPool2d', () => new nn.MaxPool2d(2), [2, 4, 3, 4]],
    [
      'MaxPool2d with its own stride',
      () => new nn.MaxPool2d([3, 1], { stride: 1, padding: [1, 0] }),
      [2, 8, 6, 4],
    ],
    ['AvgPool2d', () => new nn.AvgPool2d(4, { stride: 2 }), [2, 3, 2, 4]],
    ['GlobalAvgPool2d', () => new nn.GlobalAvgPool2d(), [2, 4]],
    ['Dropout', () => new nn.Dropout(0.3), [2, 8, 6, 4]],
    ['Flatten', () => new nn.Flatten(), [2, 192]],
    ['SphereLinear', () => new nn.Sequential(new nn.Flatten(), new nn.SphereLinear(192, 7)), [2, 7]],
    ['Linear', () => new nn.Sequential(new nn.Flatten(), new nn.Linear(192, 7)), [2, 7]],
  ];
  it.each(cases)('%s', async (_name, make, shape) => {
    await inScope(async () => {
      const layer = make();
      expect(layer.forward(image()).shape).toEqual(shape);
      layer.dispose();
    })();
  });
});

describe('layers apply their op with their own parameters', () => {
  it(
    'SphereConv2d and SphereLinear',
    inScope(async () => {
      const x = image();
      const conv = new nn.SphereConv2d(4, 5, 3, { operator: 'linear', epsilon: 1e-3, padding: 1 });
      const expected = ops.sphereConv2d(x, conv.weight, { operator: 'linear', epsilon: 1e-3, padding: 1 });
      expect(await conv.forward(x).data()).toEqual(await expected.data());
      const flat = ops.flatten(x);
      const layer = new nn.SphereLinear(192, 3, { operator: 'sigmoid', k: 0.7 });
      const sigmoid = ops.sphereLinear(flat, layer.weight, { operator: 'sigmoid', k: 0.7 });
      expect(await layer.forward(flat).data()).toEqual(await sigmoid.data());
      conv.dispose();
      layer.dispose();
    }),
  );

  it(
    'Conv2d and Linear with and without bias',
    inScope(async () => {
      const x = image();
      const conv = new nn.Conv2d(4, 5, 3);
      conv.bias?.assign([1, 2, 3, 4, 5]);
      const without = ops.conv2d(x, conv.weight);
      const shifted = ops.add(without, tensor([1, 2, 3, 4, 5]));
      expect(await conv.forward(x).data()).toBeAllClose(await shifted.data(), 1e-5);
      const layer = new nn.Linear(192, 2, { bias: false });
      expect(layer.bias).toBeNull();
      expect(layer.parameters()).toHaveLength(1);
      conv.dispose();
      layer.dispose();
    }),
  );

  it(
    'AvgPool2d counts padding unless told not to',
    inScope(async () => {
      const x = ones([1, 1, 1, 1]);
      const [counting, not] = [true, false].map((countPadding) => {
        return new nn.AvgPool2d(2, { padding: [1, 0, 1, 0], countPadding });
      });
      expect(await counting?.forward(x).item()).toBe(0.25);
      expect(await not?.forward(x).item()).toBe(1);
    }),
  );

  it(
    'Dropout drops in training only, and by its generator',
    inScope(async () => {
      const x = ones([1000]);
      const [a, b] = [1, 1].map((seed) => new nn.Dropout(0.25, { generator: new Generator(seed) }));
      const dropped = await (a as nn.Dropout).forward(x).data();
      expect(await (b as nn.Dropout).forward(x).data()).toEqual(dropped);
      const zeros = dropped.filter((value) => value === 0).length;
      expect(zeros).toBeGreaterThan(190);
      expect(zeros).toBeLessThan(310);
      (a as nn.Dropout).eval();
      expect((await (a as nn.Dropout).forward(x).data()).every((value) => value === 1)).toBe(true);
    }),
  );

  it(
    'Sequential goes through its layers in order',
    inScope(async () => {
      const net = new nn.Sequential(new nn.LeakyReLU(0.5), new nn.LeakyReLU(0.5));
      expect(Array.from(await net.forward(tensor([-4, 2])).data())).toEqual([-1, 2]);
      expect(net.length).toBe(2);
      expect([...net]).toEqual(net.layers);
      expect(net.at(-1)).toBe(net.layers[1]);
    }),
  );
});

describe('BatchNorm2d', () => {
  it(
    'keeps `decay` of its running statistics, the rest of `momentum`',
    inScope(async () => {
      const norm = new nn.BatchNorm2d(1, { decay: 0.75 });
      norm.forward(tensor([1, 3, 5, 7], { shape: [4, 1] }));
      expect(norm.momentum).toBe(0.25);
      expect(await norm.runningMean.data()).toBeAllClose([0.25 * 4], 1e-6);
      expect(await norm.runningVariance.data()).toBeAllClose([0.75 + (0.25 * 20) / 3], 1e-6);
      norm.dispose();
    }),
  );

  it(
    'normalises by the batch in training and by the running statistics in inference',
    inScope(async () => {
      const norm = new nn.BatchNorm2d(1, { momentum: 0.5 });
      const x = tensor([[1], [3], [5], [7]]); // mean 4, variance 5, unbiased 20/3
      const [low] = await norm.forward(x).data();
      expect(low).toBeCloseTo(-3 / Math.sqrt(5 + 1e-5), 5);
      expect(await norm.runningMean.item()).toBeCloseTo(2, 6);
      expect(await norm.runningVariance.item()).toBeCloseTo(0.5 + 0.5 * (20 / 3), 5);
      norm.eval();
      const [first] = await norm.forward(x).data();
      expect(first).toBeCloseTo((1 - 2) / Math.sqrt(0.5 + 10 / 3 + 1e-5), 5);
      expect(await norm.runningMean.item()).toBeCloseTo(2, 6);
      norm.dispose();
    }),
  );
});

describe('construction errors name class, argument, what was expected and what came', () => {
  const wrong = (value: unknown): never => value as never;
  const cases: [make: () => nn.Module, message: string][] = [
    [
      () => new nn.SphereConv2d(0, 4, 3),
      'SphereConv2d: inChannels must be a whole number of at least 1, got 0',
    ],
    [
      () => new nn.SphereConv2d(3, 1.5, 3),
      'SphereConv2d: outChannels must be a whole number of at least 1, got 1.5',
    ],
    [
      () => new nn.SphereConv2d(3, 4, wrong([3])),
      'SphereConv2d: kernel must be a number or [height, width], got [3]',
    ],
    [
      () => new nn.SphereConv2d(3, 4, 3, { stride: 0 }),
      'SphereConv2d: stride must be a whole number of at least 1',
    ],
    [
      () => new nn.SphereConv2d(3, 4, 3, { padding: -1 }),
      'SphereConv2d: padding must be a whole number of at least 0',
    ],
    [
      () => new nn.SphereConv2d(3, 4, 3, { groups: 3 }),
      'SphereConv2d: groups must be a divisor of the 3 input channels and the 4 filters',
    ],
    [
      () => new nn.SphereConv2d(3, 4, 3, { operator: wrong('arc') }),
      "SphereConv2d: operator must be one of 'cosine', 'linear', 'sigmoid', 'squaredCosine' or { magnitude: 'ball' | ",
    ],
    [
      () => new nn.SphereConv2d(3, 4, 3, { operator: 'sigmoid', k: 0 }),
      'SphereConv2d: k must be a number above 0',
    ],
    [
      () => new nn.SphereConv2d(3, 4, 3, { k: 0.3 }),
      "SphereConv2d: k must be left out, because operator 'cosine' has",
    ],
    [
      () => new nn.SphereLinear(3, 4, { operator: 'linear', k: 'learnable' }),
      'SphereLinear: k must be left out',
    ],
    [
      () => new nn.SphereLinear(3, 4, { operator: 'sigmoid', k: wrong('learn') }),
      'SphereLinear: k must be a number',
    ],
    [
      () => new nn.SphereLinear(3, 4, { operator: 'sigmoid', k: 'learnable', kInit: 0.05 }),
      'SphereLinear: kInit must be a number above 0.05, got 0.05',
    ],
    [
      () => new nn.SphereLinear(3, 4, { kInit: 0.5 }),
      'SphereLinear: kInit must be left out where k is not learnable',
    ],
    [
      () => new nn.SphereLinear(3, 4, { epsilon: 0 }),
      'SphereLinear: epsilon must be a number above 0, got 0',
    ],
    [() => new nn.Linear(3, NaN), 'Linear: outFeatures must be a whole number of at least 1, got NaN'],
    [() => new nn.Conv2d(-3, 4, 3), 'Conv2d: inChannels must be a whole number of at least 1, got -3'],
    [
      () => new nn.BatchNorm2d(4, { decay: -0.1 }),
      'BatchNorm2d: decay must be a number from 0 to 1, got -0.1',
    ],
    [
      () => new nn.BatchNorm2d(4, { momentum: 0.1, decay: 0.9 }),
      'BatchNorm2d: decay must be left out where momentum is given, got 0.9',
    ],
    [
      () => new nn.BatchNorm2d(4, { momentum: 2 }),
      'BatchNorm2d: momentum must be a number from 0 to 1, got 2',
    ],
    [() => new nn.BatchNorm2d(4, { epsilon: 0 }), 'BatchNorm2d: epsilon must be a number above 0, got 0'],
    [() => new nn.SphereNorm(0), 'SphereNorm: channels must be a whole number of at least 1, got 0'],
    [
      () => new nn.SphereNorm(2, { beta: Infinity }),
      'SphereNorm: beta must be a finite number, got Infinity',
    ],
    [() => new nn.LeakyReLU(-1), 'LeakyReLU: slope must be a number of at least 0, got -1'],
    [() => new nn.MaxPool2d(0), 'MaxPool2d: kernel must be a whole number of at least 1, got 0'],
    [
      () => new nn.AvgPool2d(2, { padding: 2 }),
      'AvgPool2d: padding must be smaller than the kernel [2, 2], got 2',
    ],
    [() => new nn.Dropout(1), 'Dropout: p must be a number in [0, 1), got 1'],
    [
      () => new nn.Sequential(new nn.ReLU(), wrong('relu')),
      'Sequential: layers[1] must be a Module, got the string',
    ],
    [() => new nn.AngularHead(4, 1), 'AngularHead: classes must be a whole number of at least 2, got 1'],
    [
      () => new nn.AngularHead(4, 3, { margin: 0.5 }),
      'AngularHead: margin must be a number of at least 1, got 0.5',
    ],
    [
      () => new nn.SoftmaxHead(4, 3, { labelSmoothing: 1 }),
      'SoftmaxHead: labelSmoothing must be a number in [0, 1), got 1',
    ],
  ];
  it.each(cases)('%# %s', (make, message) => {
    expect(make).toThrow(message);
  });
});
