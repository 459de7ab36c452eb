import * as losses from '../../ts/losses';
import * as nn from '../../ts/nn';
import { inScope } from '../support/in_scope';
import { Generator, ops, random, tensor } from '../support/library';
import type { Tensor } from '../support/library';

function image(): Tensor {
  return random.normal([2, 8, 6, 4], { generator: new Generator(1) });
}

describe('SphereNorm', () => {
  it(
    'multiplies by beta and shifts by gamma, per channel',
    inScope(async () => {
      const norm = new nn.SphereNorm(2, { beta: 2, gamma: -1 });
      (norm.beta as Tensor).assign([2, 3]);
      const y = norm.forward(tensor([[0.5, 0.5]]));
      expect(Array.from(await y.data())).toEqual([0, 0.5]);
      ops.sum(y).backward();
      expect(Array.from(await ((norm.beta as Tensor).grad as Tensor).data())).toEqual([0.5, 0.5]);
      expect(Array.from(await ((norm.gamma as Tensor).grad as Tensor).data())).toEqual([1, 1]);
      expect(norm.parameters().map(nn.roleOf)).toEqual(['norm', 'norm']);
      norm.dispose();
    }),
  );

  it(
    'is fixed where it is not learnable',
    inScope(async () => {
      const norm = new nn.SphereNorm(2, { beta: 2, gamma: 1, learnable: false });
      expect(norm.parameters()).toEqual([]);
      expect(Array.from(await norm.forward(tensor([[0.5, -0.5]])).data())).toEqual([2, 0]);
    }),
  );

  it(
    'holds the SphereConv that it rescales',
    inScope(async () => {
      const conv = new nn.SphereConv2d(4, 5, 3);
      const norm = new nn.SphereNorm(conv, { beta: 3 });
      expect([...norm.namedParameters().keys()].sort()).toEqual(['beta', 'conv.weight', 'gamma']);
      const x = image();
      const expected = ops.scale(conv.forward(x), 3);
      expect(await norm.forward(x).data()).toBeAllClose(await expected.data(), 1e-6);
      norm.dispose();
    }),
  );

  it('refuses another number of channels', () => {
    const norm = new nn.SphereNorm(3);
    const x = tensor([[1, 2]]);
    expect(() => norm.forward(x)).toThrow(
      'SphereNorm: input must be a tensor whose last axis has 3 channels',
    );
    x.dispose();
    norm.dispose();
  });
});

describe('SphereNorm', () => {
  it(
    'rescales a fully connected SphereConv too',
    inScope(() => {
      const layer = new nn.SphereLinear(6, 3, { operator: 'linear' });
      const norm = new nn.SphereNorm(layer, { beta: 2, gamma: 0.5 });
      const x = random.normal([4, 6], { generator: new Generator(3) });
      expect(norm.forward(x)).toBeAllClose(ops.scale(layer.forward(x), 2, 0.5), 1e-6);
      expect(norm.channels).toBe(3);
      expect([...norm.namedParameters().keys()].sort()).toEqual(['beta', 'conv.weight', 'gamma']);
      norm.dispose();
    }),
  );

  it(
    'works in front of batch norm, which then has its say on range and shift',
    inScope(() => {
      const conv = new nn.SphereConv2d(4, 5, 3);
      const net = new nn.Sequential(
        new nn.SphereNorm(conv, { beta: 3, gamma: -1 }),
        new nn.BatchNorm2d(5, { epsilon: 1e-12 }),
        new nn.ReLU(),
      );
      const x = image();
      const y = net.forward(x);
      // Batch norm takes back what SphereNorm does, but for the sign of beta.
      const plain = new nn.Sequential(conv, new nn.BatchNorm2d(5, { epsilon: 1e-12 }), new nn.ReLU());
      expect(y).toBeAllClose(plain.forward(x), 1e-4);
      ops.sum(ops.square(ops.add(y, x.shape.length))).backward();
      for (const parameter of net.parameters()) {
        expect(Array.from((parameter.grad as Tensor).dataSync()).every(Number.isFinite)).toBe(true);
      }
      // A shift in front of a mean has no effect.
      const shift = (net.at(0) as nn.SphereNorm).gamma as Tensor;
      expect(Math.max(...(shift.grad as Tensor).dataSync().map(Math.abs))).toBeLessThan(1e-3);
      net.eval();
      expect(net.forward(x).shape).toEqual([2, 6, 4, 5]);
      net.dispose();
      plain.dispose();
    }),
  );

  it(
    'adds up with the orthogonality of the kernels that it rescales',
    inScope(() => {
      const conv = new nn.SphereConv2d(4, 5, 3, { dtype: 'float64', generator: new Generator(5) });
      const norm = new nn.SphereNorm(conv, { beta: 1.5 });
      const x = ops.cast(image(), 'float64');
      const task = (): Tensor => ops.mean(ops.square(norm.forward(x)));
      const gradients = [
        (): Tensor => task(),
        (): Tensor => losses.orthogonality(conv.weight),
        (): Tensor => ops.add(task(), losses.orthogonality(conv.weight)),
      ].map((loss) => {
        norm.zeroGrad();
        loss().backward();
        return Array.from((conv.weight.grad as Tensor).dataSync());
      }) as [number[], number[], number[]];
      const [alone, regulariser, both] = gradients;
      expect(both).toBeAllClose(
        alone.map((v, i) => v + (regulariser[i] as number)),
        1e-12,
      );
      norm.dispose();
    }),
  );
});
