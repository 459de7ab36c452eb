import * as nn from '../../ts/nn';
import { Classifier } from '../../ts/models';
import { inScope } from '../support/in_scope';
import { Generator, losses, ops, random, scope, tensor } from '../support/library';
import type { FloatDType, Tensor } from '../support/library';

const features = (dtype: FloatDType = 'float32'): Tensor =>
  random.normal([5, 6], { deviation: 3, dtype, generator: new Generator(4) });
const labels = (): Tensor => tensor(Int32Array.of(0, 2, 1, 2, 0));
const generator = (): Generator => new Generator(5);

const HEADS: readonly nn.MarginHeadOptions[] = [
  { loss: 'normFace', scale: 12 },
  { loss: 'cosFace', margin: 0.2, labelSmoothing: 0.1 },
  { loss: 'arcFace', scale: 12, detach: false },
  { loss: 'sphereFace', margin: 3 },
  { loss: 'sphereFaceR', version: 'v1', features: 'soft' },
  { loss: 'sphereFaceR', features: 'none' },
];

describe.each(HEADS.map((options) => [JSON.stringify(options), options] as const))(
  'MarginHead %s',
  (_, options) => {
    it(
      'trains by the loss of that name with these options',
      inScope(async () => {
        const head = new nn.MarginHead(6, 3, { ...options, generator: generator() });
        const { loss: name, ...rest } = options;
        const loss = losses[name](features(), head.weight, labels(), rest);
        expect(await head.loss(features(), labels()).item()).toBe(await loss.item());
        expect(nn.roleOf(head.weight)).toBe('sphereKernel');
        expect([...head.namedParameters().keys()]).toEqual(['weight']);
        head.dispose();
      }),
    );

    it('predicts without the margin: the cosines times the scale', () => {
      scope(() => {
        const head = new nn.MarginHead(6, 3, { ...options, dtype: 'float64', generator: generator() });
        const x = features('float64');
        const cosines = ops.sphereLinear(x, head.weight, { epsilon: 1e-12 }).dataSync();
        const values = x.dataSync();
        const fixed =
          'features' in options ? null : (options.scale ?? (options.loss === 'cosFace' ? 64 : 30));
        const expected = Array.from(cosines, (cosine, i) => {
          const at = 6 * Math.floor(i / 3);
          const length = Math.hypot(...values.subarray(at, at + 6));
          return (fixed ?? length) * cosine;
        });
        expect(head.logits(x)).toBeAllClose(expected, 1e-12);
        head.dispose();
      });
    });

    it(
      'learns',
      inScope(async () => {
        const head = new nn.MarginHead(6, 3, { ...options, generator: generator() });
        const before = await head.loss(features(), labels()).item();
        for (let step = 0; step < 20; ++step) {
          head.zeroGrad();
          scope(() => {
            head.loss(features(), labels()).backward();
            const { weight } = head;
            // Of 1 % of the weights' length, whatever the scale of the loss.
            const gradient = (weight.grad as Tensor).dataSync();
            const size = Math.hypot(...gradient) || 1;
            const length = Math.hypot(...weight.dataSync());
            const values = weight
              .dataSync()
              .map((w, i) => w - ((0.02 * length) / size) * (gradient[i] as number));
            weight.assign(values);
          });
        }
        expect(await head.loss(features(), labels()).item()).toBeLessThan(before);
        head.dispose();
      }),
    );
  },
);

it('MarginHead is the end of a classifier', () => {
  scope(() => {
    const body = new nn.Sequential(new nn.Linear(4, 6, { generator: generator() }));
    const model = new Classifier(body, new nn.MarginHead(6, 3, { loss: 'arcFace', generator: generator() }));
    const x = random.normal([5, 4], { generator: generator() });
    model.loss(x, labels()).backward();
    for (const [path, { grad }] of model.namedParameters())
      expect([path, grad === null]).toEqual([path, false]);
    model.dispose();
  });
});

describe('errors say what is possible', () => {
  it.each([
    [
      { loss: 'softmax' },
      "MarginHead: loss must be one of 'normFace', 'cosFace', 'arcFace', 'sphereFace', 'sphereFaceR'",
    ],
    [{ loss: 'arcFace', margin: -1 }, 'MarginHead: margin must be a number of at least 0, got -1'],
    [{ loss: 'sphereFace', margin: 0.5 }, 'MarginHead: margin must be a number of at least 1, got 0.5'],
    [{ loss: 'normFace', margin: 0.5 }, 'MarginHead: margin must be left out, because normFace takes scale'],
    [
      { loss: 'normFace', annealing: {} },
      'MarginHead: annealing must be left out, because normFace takes scale',
    ],
  ])('%j: %s', (options, message) => {
    expect(() => new nn.MarginHead(6, 3, options as nn.MarginHeadOptions)).toThrowSphereNetError(
      'SPHERENET_ARGUMENT',
      message,
    );
  });

  it('for features of another width', () => {
    scope(() => {
      const narrow = random.normal([5, 4]);
      for (const head of [new nn.AngularHead(6, 3), new nn.MarginHead(6, 3, { loss: 'cosFace' })]) {
        const message = `${head.constructor.name}: features must be of shape [N, 6], which the head was made for`;
        for (const use of [(): unknown => head.logits(narrow), (): unknown => head.loss(narrow, labels())])
          expect(use).toThrowSphereNetError('SPHERENET_ARGUMENT', message, '[5, 4]');
        head.dispose();
      }
    });
  });
});
