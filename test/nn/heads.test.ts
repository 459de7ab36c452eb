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
