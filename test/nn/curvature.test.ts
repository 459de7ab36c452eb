import * as nn from '../../ts/nn';
import * as optim from '../../ts/optim';
import { inScope } from '../support/in_scope';
import { Generator, ops, random, scope } from '../support/library';
import type { Tensor } from '../support/library';

describe('learnable curvature', () => {
  it(
    'starts at 0.5, per filter or shared, and is the role of its raw parameter',
    inScope(async () => {
      const perFilter = new nn.SphereConv2d(4, 5, 3, { operator: 'sigmoid', k: 'learnable' });
      const shared = new nn.SphereLinear(4, 5, {
        operator: 'sigmoid',
        k: { learnable: true, shared: true },
        kInit: 0.7,
      });
      expect(perFilter.curvature?.shape).toEqual([5]);
      expect(shared.curvature?.shape).toEqual([1]);
      const k = await (perFilter.k() as Tensor).data();
      expect(k).toBeAllClose([0.5, 0.5, 0.5, 0.5, 0.5], 1e-6);
      expect(await (shared.k() as Tensor).item()).toBeCloseTo(0.7, 6);
      perFilter.dispose();
      shared.dispose();
    }),
  );

  it(
    'gets a gradient and stays positive where the raw value is negative',
    inScope(async () => {
      const layer = new nn.SphereLinear(4, 3, { operator: 'sigmoid', k: 'learnable' });
      layer.curvature?.assign([-0.3, 0.2, 0]);
      expect(await (layer.k() as Tensor).data()).toBeAllClose([0.35, 0.25, 0.05], 1e-6);
      const y = layer.forward(random.normal([6, 4], { generator: new Generator(2) }));
      ops.sum(ops.square(y)).backward();
      const gradient = await (layer.curvature?.grad as Tensor).data();
      // A sharper sigmoid gives larger outputs: d(sum y²)/dk < 0, and the sign turns with that of the raw value.
      expect(gradient[0]).toBeGreaterThan(0);
      expect(gradient[1]).toBeLessThan(0);
      layer.dispose();
    }),
  );
});

describe('a curvature of several layers', () => {
  const network = (k: nn.Curvature): nn.Sequential =>
    new nn.Sequential(
      new nn.SphereConv2d(2, 3, 3, { operator: 'sigmoid', k }),
      new nn.Flatten(),
      new nn.SphereLinear(3 * 4, 4, { operator: { magnitude: 'tanh', angular: 'sigmoid' }, k }),
    );

  it(
    'is one parameter of the network, starts at 0.5 and is saved once',
    inScope(async () => {
      const k = new nn.SharedCurvature();
      const net = network(k);
      const curvatures = net.parameters().filter((p) => nn.roleOf(p) === 'curvature');
      expect(curvatures).toEqual([k.curvature]);
      expect([...net.namedParameters().keys()]).toEqual(['0.weight', '0.curvature', '2.weight']);
      expect(k.k().itemSync()).toBeCloseTo(0.5, 6);
      const twin = network(new nn.SharedCurvature({ init: 0.9 }));
      twin.loadStateDict(await net.stateDict());
      expect((twin.at(2) as nn.SphereLinear).curvature?.itemSync()).toBeCloseTo(0.45, 6);
      net.dispose();
      twin.dispose();
    }),
  );

  it(
    'gets the gradient of all of them',
    inScope(() => {
      const generator = (): Generator => new Generator(7);
      const x = random.normal([5, 4, 4, 2], { generator: generator() });
      const k = new nn.SharedCurvature({ init: 0.6 });
      const [net, apart] = [network(k), network({ learnable: true, shared: true })];
      const [first, second] = [apart.at(0) as nn.SphereConv2d, apart.at(2) as nn.SphereLinear];
      [first, second].forEach((layer) => layer.curvature?.assign([0.55]));
      first.weight.assign((net.at(0) as nn.SphereConv2d).weight.dataSync());
      second.weight.assign((net.at(2) as nn.SphereLinear).weight.dataSync());
      for (const one of [net, apart]) ops.sum(ops.square(one.forward(x))).backward();
      const gradientOf = (t: Tensor | null): number => (t?.grad as Tensor).itemSync();
      const sum = gradientOf(first.curvature) + gradientOf(second.curvature);
      expect(gradientOf(k.curvature)).toBeCloseTo(sum, 4);
      net.dispose();
      apart.dispose();
    }),
  );

  it.each([
    ['per filter', 'learnable', 3],
    ['per layer', { learnable: true, shared: true }, 1],
    ['of the network', 'network', 1],
  ] as const)('starts at 0.5 and stays positive while it is pushed down, %s', (_, kind, count) => {
    scope(() => {
      const k = kind === 'network' ? new nn.SharedCurvature() : kind;
      const layer = new nn.SphereLinear(4, 3, { operator: 'sigmoid', k });
      expect((layer.k() as Tensor).shape).toEqual([count]);
      expect((layer.k() as Tensor).dataSync()).toBeAllClose(new Array<number>(count).fill(0.5), 1e-6);
      const optimizer = new optim.SGD([layer.curvature as Tensor], { lr: 0.05 });
      for (let step = 0; step < 40; ++step) {
        scope(() => {
          ops.sum(layer.k() as Tensor).backward();
          optimizer.step();
        });
        expect(Math.min(...(layer.k() as Tensor).dataSync())).toBeGreaterThanOrEqual(0.05);
      }
      optimizer.dispose();
      layer.dispose();
    });
  });

  it('is refused in another dtype than the layer, with a start of its own, and out of range', () => {
    const k = new nn.SharedCurvature({ dtype: 'float64' });
    expect(() => new nn.SphereLinear(3, 4, { operator: 'sigmoid', k })).toThrow(
      'SphereLinear: k must be a curvature in float32, got a float64 tensor [1]',
    );
    expect(() => new nn.SphereLinear(3, 4, { operator: 'sigmoid', k, kInit: 0.4 })).toThrow(
      'SphereLinear: kInit must be left out',
    );
    expect(() => new nn.SphereLinear(3, 4, { operator: 'linear', k })).toThrow('has no curvature');
    expect(() => new nn.SharedCurvature({ init: 0.05 })).toThrow(
      'SharedCurvature: init must be a number above 0.05, got 0.05',
    );
    k.curvature.dispose();
  });
});
