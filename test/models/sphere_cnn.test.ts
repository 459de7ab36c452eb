import { sphereCnn } from '../../ts/models';
import * as nn from '../../ts/nn';
import { inScope } from '../support/in_scope';
import { Generator, memory, ops, random, scope, tensor } from '../support/library';

describe('parameter counts without batch norm', () => {
  // CNN-3: 27·64 + 576·96 + 864·128 + 2048·256 + 256·10; CNN-9 adds 2 · (576·64 + 864·96 + 1152·128).
  it.each([
    [3, 694_464],
    [9, 1_228_992],
  ] as const)('CNN-%d', (depth, count) => {
    const model = sphereCnn({ depth, batchNorm: false });
    expect(model.parameterCount).toBe(count);
    model.dispose();
  });

  it('with batch norm, learnable k and an angular head', () => {
    const model = sphereCnn({
      depth: 3,
      operator: 'sigmoid',
      k: 'learnable',
      head: { operator: 'linear', margin: 4 },
    });
    const filters = 64 + 96 + 128 + 256;
    expect(model.parameterCount).toBe(694_464 + 3 * filters);
    model.dispose();
  });

  it('of the plain CNN: a bias where there is no batch norm', () => {
    const [bare, normed] = [false, true].map((batchNorm) =>
      sphereCnn({ depth: 3, operator: 'none', batchNorm }),
    );
    expect(bare?.parameterCount).toBe(694_464 + 64 + 96 + 128 + 256);
    expect(normed?.parameterCount).toBe(694_464 + 2 * (64 + 96 + 128 + 256));
    bare?.dispose();
    normed?.dispose();
  });
});

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
      const names = model.features.layers.map(({ constructor: { name } }) => name);
      const block = ['SphereConv2d', 'BatchNorm2d', 'ReLU'];
      const pooled = [...block, ...block, ...block, 'MaxPool2d'];
      expect(names).toEqual([...pooled, ...pooled, ...pooled, 'Flatten', 'SphereLinear', 'BatchNorm2d']);
      model.dispose();
    }),
  );

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
      [{ depth: wrong(5) }, 'sphereCnn: depth must be 3 or 9, got 5'],
      [{ widths: wrong([4, 8]) }, 'sphereCnn: widths must be three whole numbers, got [4, 8]'],
      [
        { inputShape: [7, 32, 3] },
        'sphereCnn: inputShape must be at least 8 × 8, as it is halved by three pools',
      ],
      [{ inputShape: [32, 32, 0] }, 'sphereCnn: inputShape must be a whole number of at least 1, got 0'],
      [
        { operator: wrong('arc') },
        "sphereCnn: operator must be one of 'cosine', 'linear', 'sigmoid', 'none'",
      ],
      [
        { operator: 'none', k: 0.3 },
        "sphereCnn: k must be left out, because operator 'none' has no curvature",
      ],
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
