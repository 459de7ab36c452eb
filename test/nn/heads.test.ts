import * as nn from '../../ts/nn';
import { inScope } from '../support/in_scope';
import { Generator, losses, ops, random, tensor } from '../support/library';
import type { FloatDType, Tensor } from '../support/library';

const features = (dtype: FloatDType = 'float32'): Tensor =>
  random.normal([5, 6], { deviation: 3, dtype, generator: new Generator(4) });
const labels = (): Tensor => tensor(Int32Array.of(0, 2, 1, 2, 0));

describe('AngularHead', () => {
  it.each(['cosine', 'linear', 'sigmoid'] as const)(
    '%s: logits are ‖x‖ g(θ), and with margin 1 the loss is their cross-entropy',
    async (operator) => {
      await inScope(async () => {
        const head = new nn.AngularHead(6, 3, { operator, dtype: 'float64', generator: new Generator(5) });
        const x = features('float64');
        const logits = head.logits(x);
        expect(logits.shape).toEqual([5, 3]);
        const angles = await ops.sphereLinear(x, head.weight, { operator }).data();
        const values = await x.data();
        const expected = Array.from({ length: 15 }, (_, i) => {
          const row = values.subarray(6 * Math.floor(i / 3), 6 * Math.floor(i / 3) + 6) as Float64Array;
          return Math.sqrt(row.reduce((sum, value) => sum + value * value, 1e-4)) * (angles[i] as number);
        });
        expect(await logits.data()).toBeAllClose(expected, 1e-12);
        const loss = await head.loss(x, labels()).item();
        expect(await ops.softmaxCrossEntropy(logits, labels()).item()).toBeCloseTo(loss, 10);
        head.dispose();
      })();
    },
  );

  it(
    'logits have the gradients of the loss that they make',
    inScope(async () => {
      const options = { operator: 'linear', dtype: 'float64' } as const;
      const [direct, composed] = [5, 5].map((seed) => {
        return new nn.AngularHead(6, 3, { ...options, generator: new Generator(seed) });
      }) as [nn.AngularHead, nn.AngularHead];
      const [x, y] = [features('float64'), features('float64')];
      x.requiresGrad = true;
      y.requiresGrad = true;
      direct.loss(x, labels()).backward();
      ops.softmaxCrossEntropy(composed.logits(y), labels()).backward();
      expect(await (y.grad as Tensor).data()).toBeAllClose(x.grad as Tensor, 1e-10);
      expect(await (composed.weight.grad as Tensor).data()).toBeAllClose(direct.weight.grad as Tensor, 1e-10);
      direct.dispose();
      composed.dispose();
    }),
  );

  it(
    'passes margin, operator and epsilon to the loss',
    inScope(async () => {
      const head = new nn.AngularHead(6, 3, { operator: 'sigmoid', k: 0.7, margin: 2.5, epsilon: 1e-3 });
      const x = features();
      const expected = losses.gaSoftmax(x, head.weight, labels(), {
        operator: 'sigmoid',
        k: 0.7,
        margin: 2.5,
        epsilon: 1e-3,
      });
      const loss = await head.loss(x, labels()).item();
      expect(loss).toBe(await expected.item());
      const plain = losses.gaSoftmax(x, head.weight, labels(), {
        operator: 'sigmoid',
        k: 0.7,
        epsilon: 1e-3,
      });
      expect(loss).toBeGreaterThan(await plain.item());
      expect(nn.roleOf(head.weight)).toBe('sphereKernel');
      head.dispose();
    }),
  );
});

describe('SoftmaxHead', () => {
  it(
    'is a linear layer with smoothed cross-entropy',
    inScope(async () => {
      const head = new nn.SoftmaxHead(6, 3, { labelSmoothing: 0.1 });
      expect([head.features, head.classes]).toEqual([6, 3]);
      const x = features();
      const logits = ops.linear(x, head.linear.weight, head.linear.bias);
      expect(await head.forward(x).data()).toEqual(await logits.data());
      const expected = ops.softmaxCrossEntropy(logits, labels(), { labelSmoothing: 0.1 });
      expect(await head.loss(x, labels()).item()).toBe(await expected.item());
      expect([...head.namedParameters().keys()]).toEqual(['linear.weight', 'linear.bias']);
      head.dispose();
    }),
  );
});

describe('SphereFace2Head', () => {
  it(
    'has logits r g(cos θ) + b without the margin and trains with sphereFace2',
    inScope(async () => {
      const options = { scale: 8, margin: 0.3, alpha: 0.6, t: 2, lossWeight: 3 };
      const head = new nn.SphereFace2Head(6, 3, {
        ...options,
        dtype: 'float64',
        generator: new Generator(5),
      });
      const x = features('float64');
      const cosines = await ops.sphereLinear(x, head.weight, { epsilon: 1e-8 }).data();
      const bias = losses.sphereFace2Bias(3, options);
      const expected = Array.from(cosines, (z) => 8 * (2 * ((z + 1) / 2) ** 2 - 1) + bias);
      expect(await head.logits(x).data()).toBeAllClose(expected, 1e-12);
      const loss = losses.sphereFace2(x, head.weight, labels(), head.bias, options);
      expect(await head.loss(x, labels()).item()).toBe(await loss.item());
      expect([nn.roleOf(head.weight), nn.roleOf(head.bias)]).toEqual(['sphereKernel', 'bias']);
      expect([head.features, head.classes, head.bias.shape]).toEqual([6, 3, [1]]);
      head.dispose();
    }),
  );

  it(
    'takes features of 16 bits',
    inScope(async () => {
      const head = new nn.SphereFace2Head(6, 3, { generator: new Generator(5) });
      const x = ops.cast(features(), 'bfloat16');
      expect(head.logits(x).dtype).toBe('float32');
      head.loss(x, labels()).backward();
      expect((await (head.bias.grad as Tensor).data()).length).toBe(1);
      head.dispose();
    }),
  );

  it('says what is wrong with its options', () => {
    expect(() => new nn.SphereFace2Head(6, 1)).toThrow(
      'SphereFace2Head: classes must be a whole number of at least 2',
    );
    expect(() => new nn.SphereFace2Head(6, 3, { t: 0.5 })).toThrow(
      'SphereFace2Head: t must be a number of at least 1',
    );
    expect(() => new nn.SphereFace2Head(6, 3, { margin: -1 })).toThrow('SphereFace2Head: margin must be');
  });
});
