/** Networks with activations of 16 bits: what is cast is the input, nothing else changes. */
import { data } from '../../ts';
import { Classifier, sphereCnn } from '../../ts/models';
import * as nn from '../../ts/nn';
import * as optim from '../../ts/optim';
import { Trainer } from '../../ts/train';
import type { EpochRecord } from '../../ts/train';
import { HALF_DTYPES, roundingError } from '../support/half';
import { inScope } from '../support/in_scope';
import { Generator, ops, random, scope, tensor } from '../support/library';
import type { HalfDType, Tensor } from '../support/library';
import { Stripes, stripesModel } from './patterns';

/** The features and head of a model, given its images in 16 bits. */
class InHalf extends Classifier {
  constructor(
    model: Classifier,
    private readonly dtype: HalfDType,
  ) {
    super(model.features, model.head);
  }

  override embed(images: Tensor): Tensor {
    return super.embed(ops.cast(images, this.dtype));
  }
}

describe.each(HALF_DTYPES)('a network in %s', (dtype) => {
  it.each(['softmax', 'angular'] as const)('learns stripes with a %s head', async (head) => {
    const model = new InHalf(stripesModel(head), dtype);
    const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 });
    const { epochs } = await new Trainer({
      ...{ model, optimizer, progress: false, epochs: 4 },
      train: new Stripes(240, 16),
      evaluate: new Stripes(100, 30, 2),
    }).run();
    expect((epochs.at(-1) as EpochRecord).evalAccuracy).toBeGreaterThan(0.95);
    expect(model.parameters().every((parameter) => parameter.dtype === 'float32')).toBe(true);
    model.dispose();
    optimizer.dispose();
  });

  it(
    'has activations and their gradients in 16 bits, parameters and theirs in float32',
    inScope(() => {
      const generator = new Generator(1);
      const make = { widths: [4, 6, 8], depth: 3, inputShape: [8, 8, 3], features: 5, classes: 3 } as const;
      const heads = ['softmax', { operator: 'linear', margin: 2 }] as const;
      for (const head of heads) {
        const model = sphereCnn({ ...make, operator: 'sigmoid', k: 'learnable', head, generator });
        const images = ops.cast(random.normal([6, 8, 8, 3], { generator }), dtype);
        images.requiresGrad = true;
        const features = model.embed(images);
        expect(features.dtype).toBe(dtype);
        const loss = model.head.loss(features, tensor(Int32Array.of(0, 1, 2, 2, 1, 0)));
        expect(loss.dtype).toBe('float32');
        loss.backward();
        expect(images.grad?.dtype).toBe(dtype);
        for (const parameter of model.parameters()) {
          expect([parameter.dtype, parameter.grad?.dtype]).toEqual(['float32', 'float32']);
          expect(parameter.grad?.dataSync().every(Number.isFinite)).toBe(true);
        }
        model.dispose();
      }
    }),
  );

  it(
    'comes close to the same network in float32',
    inScope(() => {
      const generator = new Generator(2);
      const sphere = new nn.SphereConv2d(3, 8, 3, { operator: 'linear', generator });
      const net = new nn.Sequential(
        new nn.Conv2d(2, 3, 3, { padding: 1, bias: false, generator }),
        ...[new nn.BatchNorm2d(3), new nn.SphereNorm(sphere, { beta: 2, gamma: 1 })],
        ...[new nn.AvgPool2d(2), new nn.Flatten(), new nn.Linear(32, 6, { generator })],
      );
      const images = random.normal([10, 6, 6, 2], { generator });
      // Without kinks: a number that rounding takes across one changes its gradient by more than rounding does.
      const labels = tensor(Int32Array.from({ length: 10 }, (_, i) => i % 6));
      const gradients = [dtype, 'float32' as const].map((of) => {
        const y = net.forward(ops.cast(images, of));
        expect(y.dtype).toBe(of);
        ops.softmaxCrossEntropy(y, labels).backward();
        const found = net.parameters().map((parameter) => parameter.grad?.dataSync());
        net.zeroGrad();
        return [y.dataSync(), ...found];
      });
      gradients[0]?.forEach((values, i) => {
        expect(values).toBeAllClose(gradients[1]?.[i] as Float32Array, 30 * roundingError(dtype));
      });
      net.dispose();
    }),
  );

  it('takes its images from a loader that makes them so', () => {
    const images = Uint8Array.from({ length: 2 * 4 }, (_, i) => 30 * i);
    const source = data.dataset({
      images,
      labels: Int32Array.of(0, 1),
      shape: [2, 2, 1],
      classes: ['a', 'b'],
    });
    for (const batch of data.loader(source, { batchSize: 2, dtype })) {
      expect(batch.images.dtype).toBe(dtype);
      const expected = Float64Array.from(images, (byte) => (byte - 127.5) / 128);
      expect(batch.images).toBeAllClose(expected, roundingError(dtype));
    }
  });
});

it('an angular head scores in float32: squares of features are beyond what float16 holds', () => {
  scope(() => {
    const head = new nn.AngularHead(4, 3, { generator: new Generator(1) });
    const features = tensor([300, -400, 0, 0, 3, 4, 0, 0], { shape: [2, 4] });
    const scores = head.logits(ops.cast(features, 'float16'));
    expect(scores.dtype).toBe('float32');
    expect(scores).toBeAllClose(head.logits(features), 1e-6);
    head.dispose();
  });
});
