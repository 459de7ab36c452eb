/** Decoupled operators in layers: what is learnt, what is averaged, what is refused. */
import * as nn from '../../ts/nn';
import * as optim from '../../ts/optim';
import { inScope } from '../support/in_scope';
import { Generator, noGrad, ops, random, scope } from '../support/library';
import type { Tensor } from '../support/library';

function image(seed = 1): Tensor {
  return random.normal([2, 6, 6, 3], { generator: new Generator(seed) });
}

const tanh = (radius: nn.Radius): nn.AngularOperator => ({ magnitude: 'tanh', radius });

describe('a learnable radius', () => {
  it.each([
    ['per filter', 'learnable', 5],
    ['per layer', { learnable: true, shared: true }, 1],
  ] as const)('starts at one mean norm and is a parameter of its own role, %s', (_, radius, count) => {
    scope(() => {
      const layer = new nn.SphereConv2d(3, 5, 3, { operator: tanh(radius) });
      expect(layer.radius?.shape).toEqual([count]);
      expect(layer.parameters().map(nn.roleOf)).toEqual(['sphereKernel', 'radius']);
      expect([...layer.namedBuffers().keys()]).toEqual(['normAverage']);
      expect((layer.rho() as Tensor).dataSync()).toBeAllClose(new Array<number>(count).fill(1.0001), 1e-6);
      const x = image();
      const y = layer.forward(x);
      const meanNorm = { average: layer.normAverage as Tensor, training: false };
      // The first batch's mean is the debiased average.
      const operator = { magnitude: 'tanh', radius: 1.0001 } as const;
      expect(ops.sphereConv2d(x, layer.weight, { operator, meanNorm })).toBeAllClose(y, 1e-5);
      ops.sum(ops.square(y)).backward();
      const gradient = (layer.radius?.grad as Tensor).dataSync();
      // A larger radius gives smaller outputs.
      expect(Math.max(...gradient)).toBeLessThan(0);
      layer.dispose();
    });
  });

  it(
    'stays positive, whatever the raw value',
    inScope(() => {
      const layer = new nn.SphereLinear(4, 3, { operator: tanh('learnable'), radiusUnit: 'absolute' });
      layer.radius?.assign([-2, 0, 0.5]);
      expect((layer.rho() as Tensor).dataSync()).toBeAllClose([4.0001, 1e-4, 0.2501], 1e-6);
      expect(layer.normAverage).toBeNull();
      const x = random.normal([5, 4], { generator: new Generator(2) });
      const y = layer.forward(x);
      const operator = { magnitude: 'tanh', radius: layer.rho() as Tensor } as const;
      expect(y).toBeAllClose(ops.sphereLinear(x, layer.weight, { operator }), 1e-6);
      ops.sum(y).backward();
      expect(Array.from((layer.radius?.grad as Tensor).dataSync()).every(Number.isFinite)).toBe(true);
      layer.dispose();
    }),
  );

  it(
    'learns to be what the outputs ask for',
    inScope(() => {
      const generator = new Generator(3);
      const layer = new nn.SphereLinear(6, 4, {
        operator: tanh('learnable'),
        radiusUnit: 'absolute',
        generator,
      });
      const x = random.normal([64, 6], { generator });
      const target = { magnitude: 'tanh', radius: 3 } as const;
      const wanted = noGrad(() => ops.sphereLinear(x, layer.weight, { operator: target }));
      const optimizer = new optim.Adam([layer.radius as Tensor], { lr: 0.05 });
      for (let step = 0; step < 150; ++step) {
        scope(() => {
          ops.mean(ops.square(ops.sub(layer.forward(x), wanted))).backward();
          optimizer.step();
        });
      }
      expect((layer.rho() as Tensor).dataSync()).toBeAllClose([3, 3, 3, 3], 1e-2);
      optimizer.dispose();
      layer.dispose();
    }),
  );
});

describe('activations of 16 bits', () => {
  it('leave radius, curvature and unit in float32', () => {
    scope(() => {
      const operator = { magnitude: 'tanh', angular: 'sigmoid', radius: 'learnable' } as const;
      const layer = new nn.SphereConv2d(3, 5, 3, { operator, k: 'learnable' });
      const x = image();
      const narrow = layer.forward(ops.cast(x, 'bfloat16'));
      expect(narrow.dtype).toBe('bfloat16');
      expect(ops.cast(narrow, 'float32')).toBeAllClose(layer.forward(x), 0.03);
      ops.sum(ops.square(ops.cast(narrow, 'float32'))).backward();
      for (const parameter of layer.parameters()) expect(parameter.grad?.dtype).toBe('float32');
      expect(layer.normAverage?.dtype).toBe('float32');
      layer.dispose();
    });
  });
});

describe('the unit of a radius', () => {
  it(
    'is averaged in training, kept in inference and part of the state',
    inScope(async () => {
      const make = (): nn.SphereConv2d => new nn.SphereConv2d(3, 5, 3, { operator: tanh(0.8), padding: 1 });
      const layer = make();
      for (const seed of [1, 2, 3]) layer.forward(ops.scale(image(seed), seed));
      const state = (layer.normAverage as Tensor).dataSync();
      expect(state[1]).toBeCloseTo(1 - 0.999 ** 3, 6);
      layer.eval();
      const twin = make();
      twin.loadStateDict(await layer.stateDict());
      twin.eval();
      const x = image(4);
      const y = layer.forward(x);
      expect((layer.normAverage as Tensor).dataSync()).toEqual(state);
      expect(twin.forward(x).dataSync()).toEqual(y.dataSync());
      const radius = (0.8 * (state[0] as number)) / (state[1] as number);
      const operator = { magnitude: 'tanh', radius } as const;
      expect(y).toBeAllClose(ops.sphereConv2d(x, layer.weight, { operator, padding: 1 }), 1e-5);
      layer.dispose();
      twin.dispose();
    }),
  );

  it(
    'makes the outputs of a batch independent of its scale',
    inScope(() => {
      const layer = new nn.SphereConv2d(3, 5, 3, { operator: { magnitude: 'ball' }, epsilon: 1e-12 });
      const y = layer.forward(image());
      expect(layer.forward(ops.scale(image(), 40))).toBeAllClose(y, 1e-4);
      layer.dispose();
    }),
  );

  it('is not there where the magnitude has no radius', () => {
    const layer = new nn.SphereConv2d(3, 5, 3, { operator: { magnitude: 'linear' } });
    expect(layer.normAverage).toBeNull();
    expect(layer.rho()).toBeUndefined();
    expect(layer.parameters()).toHaveLength(1);
    layer.dispose();
  });
});

describe('layers refuse', () => {
  const wrong = (value: unknown): never => value as never;
  it.each([
    [
      { operator: tanh(wrong('learn')) },
      "SphereLinear: operator.radius must be a number above 0, 'learnable' or { learnable: true, shared }, got the string 'learn'",
    ],
    [
      { operator: { magnitude: 'mixed', radius: 'learnable' } },
      "SphereLinear: operator.radius must be left out, because magnitude 'mixed' has no radius",
    ],
    [
      { operator: { magnitude: 'linear' }, radiusUnit: 'absolute' },
      "SphereLinear: radiusUnit must be left out, because magnitude 'linear' has no radius",
    ],
    [
      { operator: 'cosine', radiusUnit: 'absolute' },
      "SphereLinear: radiusUnit must be left out, because operator 'cosine' has no radius",
    ],
    [
      { operator: tanh(1), radiusUnit: wrong('norm') },
      "SphereLinear: radiusUnit must be one of 'meanNorm', 'absolute', got the string 'norm'",
    ],
    [
      { operator: { magnitude: 'tanh', angular: 'linear' }, k: 0.3 },
      "SphereLinear: k must be left out, because operator 'linear' has no curvature",
    ],
    [
      { operator: { magnitude: wrong('sphere') } },
      "SphereLinear: operator.magnitude must be one of 'ball', 'tanh', 'linear', 'segmented', 'logarithmic', 'mixed'",
    ],
  ] as [nn.SphereLinearOptions, string][])('%j', (options, message) => {
    expect(() => new nn.SphereLinear(3, 4, options)).toThrow(message);
  });

  it('decoupled operators and the squared cosine in heads', () => {
    for (const operator of ['squaredCosine', { magnitude: 'tanh' }]) {
      expect(() => new nn.AngularHead(3, 4, { operator: wrong(operator) })).toThrow(
        "AngularHead: operator must be one of 'cosine', 'linear', 'sigmoid', got",
      );
    }
  });
});
