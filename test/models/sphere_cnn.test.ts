import { sphereCnn } from '../../ts/models';
import type { SphereCnn } from '../../ts/models';
import * as nn from '../../ts/nn';
import { inScope } from '../support/in_scope';
import { Generator, memory, ops, random, scope, tensor } from '../support/library';

const layerNames = ({ features }: SphereCnn): string[] =>
  features.layers.map(({ constructor: { name } }) => name);

describe('sphereCnn', () => {
  const tiny = { depth: 3, widths: [4, 6, 8], inputShape: [16, 16, 3], features: 5, classes: 3 } as const;

  it.each(['cosine', 'linear', 'sigmoid', 'none'] as const)(
    '%s runs forward and backward',
    async (operator) => {
      await inScope(async () => {
        const model = sphereCnn({ ...tiny, operator, head: { operator: 'linear', margin: 2 } });
        const images = random.normal([2, 16, 16, 3], { generator: new Generator(1) });
        const labels = tensor(Int32Array.of(0, 2));
        expect(model.embed(images).shape).toEqual([2, 5]);
        expect(model.forward(images).shape).toEqual([2, 3]);
        const loss = model.loss(images, labels);
        loss.backward();
        expect(Number.isFinite(await loss.item())).toBe(true);
        for (const [path, { grad }] of model.namedParameters())
          expect([path, grad === null]).toEqual([path, false]);
        model.dispose();
      })();
    },
  );

  it(
    'takes 28 × 28 × 1 images: the pools leave 3 × 3',
    inScope(() => {
      const model = sphereCnn({ depth: 9, widths: [4, 6, 8], inputShape: [28, 28, 1], features: 2 });
      expect(model.namedParameters().get('features.0.weight')?.shape).toEqual([4, 3, 3, 1]);
      expect(model.embed(random.normal([2, 28, 28, 1])).shape).toEqual([2, 2]);
      const block = ['SphereConv2d', 'BatchNorm2d', 'ReLU'];
      const pooled = [...block, ...block, ...block, 'MaxPool2d'];
      expect(layerNames(model)).toEqual([
        ...pooled,
        ...pooled,
        ...pooled,
        'Flatten',
        'SphereLinear',
        'BatchNorm2d',
      ]);
      model.dispose();
    }),
  );

  it.each([
    ['batch', ['SphereConv2d', 'BatchNorm2d', 'ReLU'], ['SphereLinear', 'BatchNorm2d']],
    ['sphere', ['SphereConv2d', 'SphereNorm', 'ReLU'], ['SphereLinear', 'SphereNorm']],
    [
      'sphere+batch',
      ['SphereConv2d', 'SphereNorm', 'BatchNorm2d', 'ReLU'],
      ['SphereLinear', 'SphereNorm', 'BatchNorm2d'],
    ],
    ['none', ['SphereConv2d', 'ReLU'], ['SphereLinear']],
  ] as const)('norm %s puts its layers behind each angular layer', (norm, block, last) => {
    const model = sphereCnn({ ...tiny, norm });
    const pooled = [...block, 'MaxPool2d'];
    expect(layerNames(model)).toEqual([...pooled, ...pooled, ...pooled, 'Flatten', ...last]);
    model.dispose();
  });

  it('has no ReLU where it is not wanted, and biases in ordinary layers without batch norm', () => {
    const bare = sphereCnn({ ...tiny, relu: false, norm: 'none' });
    expect(layerNames(bare).filter((name) => name === 'ReLU')).toEqual([]);
    const plain = sphereCnn({ ...tiny, operator: 'none', norm: 'none' });
    const normed = sphereCnn({ ...tiny, operator: 'none' });
    const biases = (model: SphereCnn): number[] =>
      model.features.layers.flatMap((layer) =>
        layer instanceof nn.Conv2d || layer instanceof nn.Linear ? [layer.bias?.size ?? 0] : [],
      );
    expect(biases(plain)).toEqual([4, 6, 8, 5]);
    expect(biases(normed)).toEqual([0, 0, 0, 0]);
    for (const model of [bare, plain, normed]) model.dispose();
  });

  it('passes options on to its layers', () => {
    const model = sphereCnn({
      ...tiny,
      ...{ operator: 'sigmoid', k: 'learnable', angular: { kInit: 0.7 } },
      batchNorm: { momentum: 0.001, epsilon: 1e-3 },
    });
    const norms = model.modules().filter((layer) => layer instanceof nn.BatchNorm2d);
    expect(norms.map(({ momentum, epsilon }) => [momentum, epsilon])).toEqual(
      Array.from({ length: 4 }, () => [0.001, 1e-3]),
    );
    const raw = model.namedParameters().get('features.0.curvature');
    expect(raw?.shape).toEqual([4]);
    expect(raw?.dataSync()[0]).toBeCloseTo(0.7 - 0.05, 6);
    model.dispose();
  });

  it(
    'makes the same network of the same seed, and the same layers under another head',
    inScope(async () => {
      const made = (['softmax', 'softmax', { operator: 'cosine' }] as const).map((head) => {
        return sphereCnn({ ...tiny, head, generator: new Generator(9) });
      });
      const [first, same, other] = await Promise.all(made.map((model) => model.stateDict()));
      expect(same).toEqual(first);
      expect(other?.['features.0.weight']).toEqual(first?.['features.0.weight']);
      for (const model of made) model.dispose();
    }),
  );

  it(
    'takes a head of your own, and owns it',
    inScope(() => {
      const head = new nn.SoftmaxHead(5, 3, { labelSmoothing: 0.01 });
      const model = sphereCnn({ ...tiny, head });
      expect(model.head).toBe(head);
      model.dispose();
      expect(head.linear.weight.isDisposed).toBe(true);
    }),
  );

  it(
    'survives the scope it is made in and leaves nothing after a step',
    inScope(() => {
      const before = memory().tensors;
      const { model } = scope(() => ({ model: sphereCnn(tiny) }));
      const held = memory().tensors;
      scope(() => {
        ops.sum(model.forward(random.normal([1, 16, 16, 3]))).backward();
        model.zeroGrad();
      });
      expect(memory().tensors).toBe(held);
      model.dispose();
      expect(memory().tensors).toBe(before);
    }),
  );

  it('says what is wrong with its options, and leaves nothing behind', () => {
    const wrong = (value: unknown): never => value as never;
    const cases: [options: Parameters<typeof sphereCnn>[0], message: string][] = [
      [{ depth: 5 }, 'sphereCnn: depth must be a multiple of 3, such as 3, 9, 18, 45, 60 and 69, got 5'],
      [{ depth: 0 }, 'sphereCnn: depth must be a multiple of 3'],
      [{ depth: 4.5 }, 'sphereCnn: depth must be a multiple of 3'],
      [{ widths: wrong([4, 8]) }, 'sphereCnn: widths must be 3 whole numbers, got [4, 8]'],
      [{ inputShape: wrong(32) }, 'sphereCnn: inputShape must be 3 whole numbers, got 32'],
      [
        { inputShape: [7, 32, 3] },
        'sphereCnn: inputShape must be at least 8 × 8, as it is halved by 3 pools',
      ],
      [{ inputShape: [32, 32, 0] }, 'sphereCnn: inputShape must be a whole number of at least 1, got 0'],
      [{ operator: wrong('arc') }, "sphereCnn: operator must be one of 'cosine', 'linear', 'sigmoid'"],
      [
        { operator: 'none', k: 0.3 },
        "sphereCnn: k must be left out, because operator 'none' has no angles, got 0.3",
      ],
      [{ operator: 'none', angular: {} }, "sphereCnn: angular must be left out, because operator 'none'"],
      [
        { operator: 'none', norm: 'sphere' },
        "sphereCnn: norm must be 'batch' or 'none', as operator 'none' has no angles to rescale",
      ],
      [{ operator: 'none', norm: 'sphere+batch' }, "sphereCnn: norm must be 'batch' or 'none'"],
      [
        { norm: wrong(true) },
        "sphereCnn: norm must be one of 'batch', 'sphere', 'sphere+batch', 'none', got true",
      ],
      [
        { batchNorm: wrong(false) },
        'sphereCnn: batchNorm must be options of a BatchNorm2d (norm says whether there is one), got false',
      ],
      [{ norm: 'sphere', batchNorm: {} }, "sphereCnn: batchNorm must be left out with norm 'sphere'"],
      [{ batchNorm: { momentum: 2 } }, 'BatchNorm2d: momentum must be a number from 0 to 1, got 2'],
      [{ relu: wrong('no') }, "sphereCnn: relu must be true or false, got the string 'no'"],
      [{ operator: 'cosine', k: 0.3 }, "SphereConv2d: k must be left out, because operator 'cosine'"],
      [{ features: 0 }, 'sphereCnn: features must be a whole number of at least 1, got 0'],
      [
        { ...tiny, head: wrong('hinge') },
        "sphereCnn: head must be 'softmax', options of an AngularHead or a Head",
      ],
      [{ ...tiny, head: { margin: 0 } }, 'AngularHead: margin must be a number of at least 1, got 0'],
    ];
    for (const [options, message] of cases) expect(() => sphereCnn(options)).toThrow(message);
    const head = new nn.SoftmaxHead(4, 3);
    expect(() => sphereCnn({ ...tiny, head })).toThrow(
      'sphereCnn: head must be a head for 5 features, got one for 4',
    );
    head.dispose();
  });
});
