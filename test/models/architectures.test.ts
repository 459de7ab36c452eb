/** Residual nets, VGG-16 and GoogLeNet, all of them narrow and on small images. */
import { googLeNet, resNet18, resNet32, vgg16 } from '../../ts/models';
import type { ArchitectureOptions, Classifier } from '../../ts/models';
import * as nn from '../../ts/nn';
import * as optim from '../../ts/optim';
import { wrong } from '../support/bad_calls';
import { Generator, keep, memory, ops, random, scope, tensor } from '../support/library';
import type { Tensor } from '../support/library';

type Make = (options: ArchitectureOptions) => Classifier<nn.Sequential>;

const SIDE = 16;
const tiny = { inputShape: [SIDE, SIDE, 3], classes: 3 } as const;
const narrow: Record<string, Make> = {
  resNet32: (options) => resNet32({ ...tiny, widths: [2, 3, 4], units: 2, ...options }),
  'resNet18 v1': (options) => resNet18({ ...tiny, widths: [2, 3, 4, 5], variant: 'v1', ...options }),
  'resNet18 v2': (options) => resNet18({ ...tiny, widths: [2, 3, 4, 5], variant: 'v2', ...options }),
  vgg16: (options) =>
    vgg16({ ...tiny, inputShape: [32, 32, 3], widthFactor: 1 / 64, features: 6, ...options }),
  googLeNet: (options) => googLeNet({ ...tiny, widthFactor: 1 / 64, ...options }),
};
const features: Record<string, number> = {
  ...{ resNet32: 4, 'resNet18 v1': 5, 'resNet18 v2': 5, vgg16: 6 },
  googLeNet: 6 + 6 + 2 + 2,
};

function batchOf(name: string, seed = 1): { images: Tensor; labels: Tensor } {
  const side = name === 'vgg16' ? 32 : SIDE;
  const images = random.normal([4, side, side, 3], { generator: new Generator(seed) });
  return { images: keep(images), labels: keep(tensor(Int32Array.of(0, 2, 1, 2))) };
}

type Type<M> = abstract new (...args: never[]) => M;

function layersOf<M extends nn.Module>(model: nn.Module, type: Type<M>): M[] {
  return model.modules().filter((layer): layer is M => layer instanceof type);
}

function layersIn(module: nn.Module | null): readonly nn.Module[] {
  return module instanceof nn.Sequential ? module.layers : [];
}

describe.each(Object.keys(narrow))('%s', (name) => {
  const make = narrow[name] as Make;

  it.each([
    ['sigmoid', { operator: 'sigmoid', k: 0.3, head: { operator: 'linear', margin: 2 } }],
    ['none', { operator: 'none' }],
  ] as const)('with operator %s takes a step and leaves nothing behind', (_, options) => {
    const generator = new Generator(1);
    const model = make({ ...options, generator });
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
    const { images, labels } = batchOf(name);
    scope(() => {
      expect(model.embed(images).shape).toEqual([4, features[name]]);
      expect(model.forward(images).shape).toEqual([4, 3]);
    });
    const step = (): void => {
      scope(() => {
        const loss = model.loss(images, labels);
        loss.backward();
        expect(Number.isFinite(loss.itemSync())).toBe(true);
        for (const [path, { grad }] of model.namedParameters())
          expect([path, grad?.dataSync().every(Number.isFinite)]).toEqual([path, true]);
        optimizer.step();
      });
    };
    step();
    const { tensors } = memory();
    step();
    expect(memory().tensors).toBe(tensors);
    for (const each of [model, optimizer, images, labels]) each.dispose();
  });

  it('takes what all architectures take', () => {
    const head = new nn.SoftmaxHead(features[name] as number, 3, { labelSmoothing: 0.01 });
    const model = make({ norm: 'sphere', relu: false, angular: { epsilon: 1e-3 }, head });
    expect(model.head).toBe(head);
    expect(layersOf(model, nn.ReLU)).toEqual([]);
    expect(layersOf(model, nn.Residual).every(({ relu }) => !relu)).toBe(true);
    expect(layersOf(model, nn.BatchNorm2d)).toEqual([]);
    const angular = [...layersOf(model, nn.SphereConv2d), ...layersOf(model, nn.SphereLinear)];
    expect(layersOf(model, nn.SphereNorm)).toHaveLength(angular.length);
    model.dispose();
  });

  it('frees its layers where the head does not fit', () => {
    const owner = name.split(' ')[0];
    const head = new nn.SoftmaxHead(7, 3);
    expect(() => make({ head })).toThrow(
      `${owner}: head must be a head for ${features[name]} features, got one for 7`,
    );
    expect(() => make({ operator: 'none', norm: 'sphere' })).toThrow(
      `${owner}: norm must be 'batch' or 'none'`,
    );
    expect(() => make({ operator: wrong('sine') })).toThrow(
      /: operator must be one of 'cosine', .*, or 'none' for the ordinary network, got the string 'sine'$/,
    );
    expect(() => make({ inputShape: wrong([32, 32]) })).toThrow(
      `${owner}: inputShape must be 3 whole numbers, got [32, 32]`,
    );
    head.dispose();
  });
});

describe('shortcuts', () => {
  const kinds = (model: nn.Module): string[] =>
    layersOf(model, nn.Residual).map(({ shortcut }) =>
      shortcut === null
        ? 'identity'
        : layersIn(shortcut)
            .map((layer) => layer.constructor.name)
            .join(' '),
    );

  it.each([
    ['v1', 'sigmoid', 'SphereConv2d BatchNorm2d'],
    ['v2', 'sigmoid', 'Conv2d BatchNorm2d'],
    ['v1', 'none', 'Conv2d BatchNorm2d'],
  ] as const)('of resNet18 %s with operator %s are %s', (variant, operator, kind) => {
    const model = resNet18({ ...tiny, widths: [2, 3, 4, 5], variant, operator });
    expect(kinds(model)).toEqual(['identity', 'identity', ...[kind, 'identity'], ...[kind, 'identity'], ...[kind, 'identity']]); // prettier-ignore
    model.dispose();
  });

  it('of resNet32 are ordinary, with a bias where there is no batch norm', () => {
    for (const [norm, kind] of [
      ['batch', 'Conv2d BatchNorm2d'],
      ['sphere', 'Conv2d'],
    ] as const) {
      const model = resNet32({ ...tiny, widths: [2, 3, 3], units: 2, norm });
      // The third stage keeps the width, and halves the size all the same.
      expect(kinds(model)).toEqual(['identity', 'identity', kind, 'identity', kind, 'identity']);
      const convs = layersOf(model, nn.Conv2d);
      expect(convs.map(({ bias }) => bias?.size ?? 0)).toEqual(norm === 'batch' ? [0, 0] : [3, 3]);
      model.dispose();
    }
  });
});

describe('padding of windows with stride 2', () => {
  it.each([
    ['symmetric', 8, [1, 1, 1, 1]],
    ['same', 8, [0, 1, 0, 1]],
    ['symmetric', 7, [1, 1, 1, 1]],
    ['same', 7, [1, 1, 1, 1]],
  ] as const)('%s, on a map of %d', (padding, side, expected) => {
    const model = resNet32({ widths: [2, 2, 2], units: 1, inputShape: [side, side, 1], padding });
    const conv = layersIn(layersOf(model, nn.Residual)[1]?.body ?? null)[0] as nn.Module;
    scope(() => {
      const x = random.normal([1, side, side, 2], { generator: new Generator(1) });
      const y = conv.forward(x);
      expect(y.shape).toEqual([1, 4, 4, 2]);
      const weight = conv.parameters()[0] as Tensor;
      const windows = { stride: 2, padding: expected };
      expect(y).toBeAllClose(ops.sphereConv2d(x, weight, windows), 1e-6);
    });
    model.dispose();
  });

  it('of a 7×7 convolution and a 3×3 pool, as TensorFlow has them on 224 × 224', () => {
    const model = resNet18({ widths: [1, 1, 1, 1], padding: 'same' });
    const [conv, pool] = [model.features.at(0), model.features.at(3)];
    expect(conv).toMatchObject({ conv: { stride: 2, padding: [2, 3, 2, 3] } });
    expect(pool).toMatchObject({ window: { kernel: 3, stride: 2, padding: [0, 1, 0, 1] } });
    model.dispose();
  });

  it('leaves the shapes as they are', () => {
    scope(() => {
      for (const [height, width] of [
        [16, 16],
        [13, 18],
        [1, 1],
      ] as const) {
        const shapes = (['symmetric', 'same'] as const).map((padding) => {
          const model = googLeNet({ ...tiny, inputShape: [height, width, 3], widthFactor: 1 / 64, padding });
          const trunk = new nn.Sequential(
            ...[...model.features].filter((layer) => !(layer instanceof nn.GlobalAvgPool2d)),
          );
          const { shape } = trunk.eval().forward(random.normal([1, height, width, 3]));
          model.dispose();
          return shape;
        });
        // Five times halved, rounded up.
        const side = (extent: number): number => Math.ceil(extent / 32);
        expect(shapes[0]).toEqual([1, side(height), side(width), 16]);
        expect(shapes[1]).toEqual(shapes[0]);
      }
    });
  });
});

it('bad options are answered with a sentence', () => {
  const cases: [make: () => unknown, message: string][] = [
    [() => resNet32({ widths: wrong([1, 2]) }), 'resNet32: widths must be 3 whole numbers, got [1, 2]'],
    [() => resNet32({ units: 0 }), 'resNet32: units must be a whole number of at least 1, got 0'],
    [() => resNet32({ padding: wrong('valid') }), "resNet32: padding must be one of 'symmetric', 'same'"],
    [() => resNet18({ widths: wrong([1, 2, 3]) }), 'resNet18: widths must be 4 whole numbers'],
    [
      () => resNet18({ variant: wrong('v3') }),
      "resNet18: variant must be one of 'v1', 'v2', got the string 'v3'",
    ],
    [() => vgg16({ widthFactor: 0 }), 'vgg16: widthFactor must be a number above 0, got 0'],
    [() => vgg16({ features: 0.5 }), 'vgg16: features must be a whole number of at least 1'],
    [
      () => vgg16({ inputShape: [224, 31, 3] }),
      'vgg16: inputShape must be at least 32 × 32, as it is halved by 5 pools, got [224, 31, 3]',
    ],
    [
      () => vgg16({ ...tiny, inputShape: [32, 32, 3], widthFactor: 1 / 64, dropout: 1 }),
      'Dropout: p must be',
    ],
    [() => googLeNet({ widthFactor: wrong('1') }), 'googLeNet: widthFactor must be a number above 0'],
    [() => googLeNet({ widthFactor: 1 / 64, dropout: -1 }), 'Dropout: p must be a number in [0, 1), got -1'],
    [() => resNet18({ widths: [2, 2, 2, 2], k: 0.3 }), 'SphereConv2d: k must be left out'],
  ];
  for (const [make, message] of cases) expect(make).toThrow(message);
});
