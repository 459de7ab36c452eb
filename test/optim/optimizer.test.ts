import * as nn from '../../ts/nn';
import * as optim from '../../ts/optim';
import { inScope } from '../support/in_scope';
import { Generator, memory, ops, random, scope, tensor, zeros } from '../support/library';
import type { Tensor } from '../support/library';

/** One parameter of each role, all with value 1 and gradient 0. */
function oneOfEachRole(): Record<nn.ParameterRole, Tensor> {
  const make = (role: nn.ParameterRole): Tensor => {
    const made = nn.parameter(tensor([1]), role);
    made.grad = zeros([1]);
    return made;
  };
  return {
    kernel: make('kernel'),
    sphereKernel: make('sphereKernel'),
    bias: make('bias'),
    norm: make('norm'),
    curvature: make('curvature'),
    radius: make('radius'),
  };
}

async function valuesOf(parameters: Record<string, Tensor>): Promise<Record<string, number>> {
  const entries = Object.entries(parameters).map(async ([name, w]) => [
    name,
    Number((await w.item()).toFixed(6)),
  ]);
  return Object.fromEntries(await Promise.all(entries)) as Record<string, number>;
}

function disposeAll(parameters: Record<string, Tensor>): void {
  for (const w of Object.values(parameters)) w.dispose();
}

describe('weight decay', () => {
  const makers: [
    string,
    (params: optim.Trainable<optim.CommonOptions>, o: optim.CommonOptions) => optim.Optimizer,
  ][] = [
    ['SGD', (params, options) => new optim.SGD(params, options)],
    ['AdamW', (params, options) => new optim.AdamW(params, options)],
  ];

  it.each(makers)('%s leaves sphere kernels, curvatures and radii alone', async (_name, make) => {
    await inScope(async () => {
      const w = oneOfEachRole();
      const optimizer = make(Object.values(w), { lr: 0.5, weightDecay: 0.1 });
      optimizer.step();
      optimizer.dispose();
      expect(await valuesOf(w)).toEqual({
        kernel: 0.95,
        sphereKernel: 1,
        bias: 0.95,
        norm: 0.95,
        curvature: 1,
        radius: 1,
      });
      disposeAll(w);
    })();
  });

  it('in a network touches classifiers, batch norms and ordinary kernels, as the authors have it', () => {
    const sphere = new nn.SphereConv2d(2, 3, 3, { operator: 'sigmoid', k: 'learnable' });
    const shortcut = new nn.Conv2d(2, 3, 1, { bias: false });
    const norm = new nn.BatchNorm2d(3);
    const heads = [new nn.SoftmaxHead(4, 2, { bias: false }), new nn.AngularHead(4, 2)] as const;
    const modules = [sphere, shortcut, norm, ...heads];
    const named = new Map(
      modules.flatMap((module) =>
        [...module.namedParameters()].map(([path, w]) => [`${module.constructor.name}.${path}`, w] as const),
      ),
    );
    for (const w of named.values()) w.grad = zeros(w.shape);
    const before = [...named.values()].map((w) => w.dataSync().slice());
    const optimizer = new optim.SGD(named.values(), { lr: 1, weightDecay: 0.5 });
    optimizer.step();
    const shares = [...named].map(([path, w], i) => {
      // Beta begins at 0 and stays there.
      const [was, is] = [before[i]?.[0] as number, w.dataSync()[0] as number];
      return [path, was === 0 ? 'zero' : Number((is / was).toFixed(6))];
    });
    expect(Object.fromEntries(shares)).toEqual({
      'SphereConv2d.weight': 1,
      'SphereConv2d.curvature': 1,
      'Conv2d.weight': 0.5,
      'BatchNorm2d.gamma': 0.5,
      'BatchNorm2d.beta': 'zero',
      'SoftmaxHead.linear.weight': 0.5,
      'AngularHead.weight': 1,
    });
    for (const item of [...modules, optimizer]) item.dispose();
  });

  it.each(makers)('%s decays them where it is told to', async (_name, make) => {
    await inScope(async () => {
      const w = oneOfEachRole();
      const optimizer = make(Object.values(w), { lr: 0.5, weightDecay: 0.1, decaySpheres: true });
      optimizer.step();
      optimizer.dispose();
      expect(await valuesOf(w)).toEqual({
        kernel: 0.95,
        sphereKernel: 0.95,
        bias: 0.95,
        norm: 0.95,
        curvature: 0.95,
        radius: 0.95,
      });
      disposeAll(w);
    })();
  });

  it(
    'and learning rate can be set per group, the rest comes from the optimiser',
    inScope(async () => {
      const w = oneOfEachRole();
      const optimizer = new optim.SGD(
        [
          { params: [w.kernel, w.sphereKernel], decaySpheres: true, lr: undefined },
          { params: [w.bias, w.norm], weightDecay: 0 },
          { params: [w.curvature, w.radius], decaySpheres: true, lr: 0.1 },
        ],
        { lr: 0.5, weightDecay: 0.1 },
      );
      optimizer.step();
      expect(await valuesOf(w)).toEqual({
        kernel: 0.95,
        sphereKernel: 0.95,
        bias: 1,
        norm: 1,
        curvature: 0.99,
        radius: 0.99,
      });
      expect(optimizer.lr).toBe(0.5);
      optimizer.lr = 0.25;
      expect(optimizer.groups.map(({ lr }) => lr)).toEqual([0.25, 0.25, 0.25]);
      disposeAll(w);
    }),
  );
});

describe('step', () => {
  it(
    'frees gradients, or keeps them where it is asked to',
    inScope(async () => {
      const w = tensor([1], { requiresGrad: true });
      const optimizer = new optim.SGD([w], { lr: 0.1 });
      const grow = (): void => scope(() => ops.sum(ops.mul(w, 2)).backward());
      grow();
      optimizer.step();
      expect(w.grad).toBeNull();
      expect(await w.item()).toBeCloseTo(0.8, 6);
      grow();
      grow(); // two backward, one step: gradients add up
      optimizer.step({ keepGradients: true });
      expect(await w.item()).toBeCloseTo(0.4, 6);
      expect(await (w.grad as Tensor).item()).toBe(4);
      optimizer.zeroGrad();
      expect(w.grad).toBeNull();
    }),
  );

  it(
    'leaves parameters without gradient as they are',
    inScope(async () => {
      const [w, idle] = [tensor([1], { requiresGrad: true }), tensor([1], { requiresGrad: true })];
      const optimizer = new optim.SGD([w, idle], { lr: 0.1, momentum: 0.9, weightDecay: 1 });
      w.grad = tensor([1]);
      optimizer.step();
      expect(await w.item()).toBeCloseTo(0.8, 6);
      expect(await idle.item()).toBe(1);
      optimizer.dispose();
    }),
  );

  it(
    'updates float32 and float64 parameters of one group',
    inScope(async () => {
      const a = tensor([1], { requiresGrad: true });
      const b = tensor([1], { requiresGrad: true, dtype: 'float64' });
      const optimizer = new optim.Adam([a, b], { lr: 0.1 });
      a.grad = tensor([3]);
      b.grad = tensor([3], { dtype: 'float64' });
      optimizer.step();
      expect([await a.item(), await b.item()]).toBeAllClose([0.9, 0.9], 1e-6);
      optimizer.dispose();
    }),
  );

  it(
    'keeps its state when the scope of the step ends, and frees it on dispose',
    inScope(async () => {
      const layer = new nn.Linear(3, 2);
      const optimizer = new optim.Adam(layer.parameters());
      const before = memory().tensors;
      for (let i = 0; i < 3; ++i) {
        scope(() => {
          ops.sum(layer.forward(random.normal([4, 3]))).backward();
          optimizer.step();
        });
      }
      expect(memory().tensors).toBe(before + 4);
      optimizer.dispose();
      expect(memory().tensors).toBe(before);
      layer.dispose();
    }),
  );
});

describe('state', () => {
  it.each([
    ['SGD', (layer: nn.Module) => new optim.SGD(layer.parameters(), { lr: 0.1, momentum: 0.9 })],
    ['Adam', (layer: nn.Module) => new optim.Adam(layer.parameters(), { lr: 0.1 })],
  ])(
    '%s goes on after a save and load as if nothing had been',
    async (_name, make: (l: nn.Module) => optim.Optimizer) => {
      await inScope(async () => {
        const x = random.normal([4, 3], { generator: new Generator(2) });
        const train = (layer: nn.Module, optimizer: optim.Optimizer): void => {
          for (let i = 0; i < 3; ++i) {
            ops.sum(ops.square(layer.forward(x))).backward();
            optimizer.step();
          }
        };
        const [a, b] = [new nn.Linear(3, 2), new nn.Linear(3, 2)];
        const [optimizerA, optimizerB] = [make(a), make(b)];
        train(a, optimizerA);
        optimizerA.lr = 0.05;
        b.loadStateDict(await a.stateDict());
        optimizerB.loadStateDict(await optimizerA.stateDict());
        expect(optimizerB.lr).toBe(0.05);
        train(a, optimizerA);
        train(b, optimizerB);
        expect(await b.stateDict()).toEqual(await a.stateDict());
        for (const item of [a, b, optimizerA, optimizerB]) item.dispose();
      })();
    },
  );

  it(
    'says what does not fit',
    inScope(async () => {
      const [small, large] = [tensor([1], { requiresGrad: true }), tensor([1, 2], { requiresGrad: true })];
      const adam = new optim.Adam([small]);
      small.grad = tensor([1]);
      adam.step();
      const state = await adam.stateDict();
      expect(() => new optim.Adam([small, large]).loadStateDict(state)).toThrow(
        'Adam.loadStateDict: the state does not fit: expected 2 parameters, got 1',
      );
      expect(() => new optim.Adam([large]).loadStateDict(state)).toThrow(
        'firstMoment of parameter 0: expected shape [2], got [1]',
      );
      expect(() => new optim.SGD([small], { momentum: 0.9 }).loadStateDict(state)).toThrow(
        'SGD.loadStateDict: the state does not fit: firstMoment of parameter 0: unexpected',
      );
      adam.dispose();
    }),
  );
});

describe('construction errors', () => {
  it(
    'name class, option, what was expected and what came',
    inScope(() => {
      const w = tensor([1], { requiresGrad: true });
      const other = tensor([1], { requiresGrad: true });
      const wrong = (value: unknown): never => value as never;
      expect(() => new optim.SGD([])).toThrow('SGD: params must be at least one parameter, got none');
      expect(() => new optim.SGD(wrong(w))).toThrow(
        'SGD: params must be parameters or an array of { params, ... }',
      );
      expect(() => new optim.SGD(wrong([1]))).toThrow('SGD: params must be live tensors only, got 1');
      expect(() => new optim.SGD([{ params: [w] }, { params: [other, w] }])).toThrow(
        'SGD: groups[1].params must be parameters of no other group',
      );
      expect(() => new optim.Adam([tensor(Int32Array.of(1))])).toThrow(
        'Adam: params must be float32 or float64',
      );
      expect(() => new optim.SGD([w], { lr: -1 })).toThrow(
        'SGD: lr must be a finite number of at least 0, got -1',
      );
      expect(() => new optim.SGD([w], { momentum: 1 })).toThrow(
        'SGD: momentum must be a number in [0, 1), got 1',
      );
      expect(() => new optim.SGD([w], { nesterov: true })).toThrow(
        'SGD: nesterov must be false without momentum',
      );
      expect(() => new optim.AdamW([w], { betas: [0.9, 1] })).toThrow(
        'AdamW: betas must be two numbers in [0, 1)',
      );
      expect(() => new optim.Adam([w], { weightDecay: NaN })).toThrow(
        'Adam: weightDecay must be a finite number',
      );
      expect(() => {
        new optim.SGD([w]).lr = Infinity;
      }).toThrow('SGD: lr must be a finite number of at least 0, got Infinity');
      other.dispose();
      expect(() => new optim.SGD([other])).toThrow('disposed');
      expect(new optim.SGD([w, w]).groups[0]?.params).toEqual([w]);
    }),
  );
});
