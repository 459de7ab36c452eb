import * as nn from '../../ts/nn';
import { describeCuda } from '../support/cuda';
import { inScope } from '../support/in_scope';
import { device, noGrad, ones, ops, scope, tensor, zeros } from '../support/library';
import type { Tensor } from '../support/library';

class Scale extends nn.Module {
  readonly factor: Tensor;
  readonly calls: Tensor;
  readonly branches: nn.Module[] = [];
  lastInput: Tensor | null = null;

  constructor(channels: number) {
    super();
    this.factor = nn.parameter(ones([channels]), 'norm');
    this.calls = nn.buffer(zeros([1]));
  }

  forward(x: Tensor): Tensor {
    this.lastInput = x;
    return ops.mul(x, this.factor);
  }
}

function smallNet(): nn.Sequential {
  return new nn.Sequential(
    new nn.SphereConv2d(3, 4, 3, { operator: 'sigmoid', k: 'learnable' }),
    new nn.BatchNorm2d(4),
    new nn.ReLU(),
    new nn.Flatten(),
    new nn.Linear(4 * 6 * 6, 5),
  );
}

describe('Module', () => {
  it(
    'finds parameters and buffers by path',
    inScope(async () => {
      const net = smallNet();
      const shapes = [...net.namedParameters()].map(([path, { shape }]) => [path, shape]);
      expect(shapes).toEqual([
        ['0.weight', [4, 3, 3, 3]],
        ['0.curvature', [4]],
        ['1.gamma', [4]],
        ['1.beta', [4]],
        ['4.weight', [5, 144]],
        ['4.bias', [5]],
      ]);
      expect([...net.namedBuffers().keys()]).toEqual(['1.runningMean', '1.runningVariance']);
      expect(net.parameterCount).toBe(4 + 108 + 4 + 4 + 720 + 5);
      expect(net.modules()).toHaveLength(6);
      net.dispose();
    }),
  );

  it(
    'finds the parts of own modules, in arrays too, and ignores other tensors',
    inScope(async () => {
      const scale = new Scale(2);
      scale.branches.push(new nn.Linear(2, 1, { bias: false }), new nn.ReLU());
      scale.forward(ones([1, 2], { requiresGrad: false }));
      expect([...scale.namedParameters().keys()]).toEqual(['factor', 'branches.0.weight']);
      expect([...scale.namedBuffers().keys()]).toEqual(['calls']);
      scale.lastInput = ops.mul(scale.factor, 2);
      expect(scale.parameters()).toHaveLength(2);
      scale.dispose();
    }),
  );

  it(
    'counts a module that is used twice once',
    inScope(async () => {
      const shared = new nn.Linear(3, 3);
      const net = new nn.Sequential(shared, new nn.ReLU(), shared);
      expect([...net.namedParameters().keys()]).toEqual(['0.weight', '0.bias']);
      expect(net.modules()).toHaveLength(3);
      net.dispose();
    }),
  );

  it(
    'counts a weight that two layers share once',
    inScope(() => {
      class Tied extends nn.Module {
        readonly first = new nn.Linear(3, 3, { bias: false });
        readonly again = this.first.weight;
        forward(x: Tensor): Tensor {
          return ops.linear(this.first.forward(x), this.again);
        }
      }
      const tied = new Tied();
      expect([...tied.namedParameters().keys()]).toEqual(['again']);
      expect(tied.parameterCount).toBe(9);
      tied.dispose();
    }),
  );

  it(
    'keeps parameters out of the scope they are made in, and the roles with them',
    inScope(async () => {
      const layer = scope(() => {
        const made = new nn.SphereLinear(3, 2, { operator: 'sigmoid', k: 'learnable' });
        return { made };
      }).made;
      expect(layer.weight.isDisposed).toBe(false);
      expect(layer.weight.requiresGrad).toBe(true);
      expect(nn.roleOf(layer.weight)).toBe('sphereKernel');
      expect(layer.curvature && nn.roleOf(layer.curvature)).toBe('curvature');
      layer.dispose();
      expect(layer.weight.isDisposed).toBe(true);
      layer.dispose();
    }),
  );

  it('switches all modules between training and inference', () => {
    const net = new nn.Sequential(new nn.Dropout(0.5), new nn.Sequential(new nn.Dropout(0.5)));
    expect(net.modules().map(({ training }) => training)).toEqual([true, true, true, true]);
    expect(net.eval()).toBe(net);
    expect(net.modules().map(({ training }) => training)).toEqual([false, false, false, false]);
    net.train();
    expect(net.modules().every(({ training }) => training)).toBe(true);
  });

  it(
    'frees gradients',
    inScope(async () => {
      const layer = new nn.Linear(2, 2);
      scope(() => ops.sum(layer.forward(ones([1, 2]))).backward());
      expect(layer.weight.grad).not.toBeNull();
      layer.zeroGrad();
      expect(layer.parameters().every(({ grad }) => grad === null)).toBe(true);
      layer.dispose();
    }),
  );

  it(
    'saves and loads its state',
    inScope(async () => {
      const from = smallNet();
      const to = smallNet();
      const x = tensor(
        Float32Array.from({ length: 2 * 8 * 8 * 3 }, (_, i) => Math.sin(i)),
        { shape: [2, 8, 8, 3] },
      );
      noGrad(() => from.forward(x)); // moves the running statistics
      const state = await from.stateDict();
      expect(Object.keys(state)).toHaveLength(8);
      expect(state['1.runningMean']).toMatchObject({ shape: [4], dtype: 'float32' });
      to.loadStateDict(state);
      const [a, b] = [from.eval().forward(x), to.eval().forward(x)];
      expect(await a.data()).toEqual(await b.data());
      from.dispose();
      to.dispose();
    }),
  );

  it(
    'says all that does not fit a state, and writes nothing then',
    inScope(async () => {
      const net = new nn.Sequential(new nn.Linear(2, 3), new nn.Linear(3, 1));
      const before = await net.stateDict();
      const { '0.bias': _, ...rest } = await net.stateDict();
      const state: nn.StateDict = {
        ...rest,
        '0.weight': { shape: [3, 2], dtype: 'float32', data: new Float32Array(6) },
        '1.weight': { shape: [1, 4], dtype: 'float32', data: new Float32Array(4) },
        '1.bias': { shape: [1], dtype: 'float64', data: new Float64Array(1) },
        '7.weight': { shape: [1], dtype: 'float32', data: new Float32Array(1) },
      };
      const load = (): void => net.loadStateDict(state);
      expect(load).toThrow("Sequential.loadStateDict: the state does not fit: '0.bias': missing");
      expect(load).toThrow("'1.weight': expected shape [1, 3], got [1, 4]");
      expect(load).toThrow("'1.bias': expected dtype float32, got float64");
      expect(load).toThrow("'7.weight': unexpected");
      expect(await net.stateDict()).toEqual(before);
      net.dispose();
    }),
  );

  it('takes floating-point tensors as parameters only', () => {
    const labels = zeros([2], { dtype: 'int32' });
    expect(() => nn.parameter(labels)).toThrow(
      'parameter: tensor must be a float32 or float64 tensor, got an int32',
    );
    labels.dispose();
  });
});

describe('Module.to', () => {
  it('leaves a module alone that is there', () => {
    const layer = new nn.Linear(2, 3);
    const { handle } = layer.weight;
    expect(layer.to(device.current())).toBe(layer);
    expect(layer.weight.handle).toBe(handle);
    layer.dispose();
  });

  it('refuses what is no device', () => {
    const layer = new Scale(2);
    expect(() => layer.to('gpu' as 'cuda')).toThrowSphereNetError('SPHERENET_ARGUMENT', 'Scale.to: device');
    layer.dispose();
  });
});

describeCuda('Module.to another device', () => {
  it('moves parameters, gradients and buffers, and nothing else, in place', () => {
    scope(() => {
      const module = new Scale(2);
      module.to('cpu');
      const { factor, calls } = module;
      const x = tensor([[1, 2]], { device: 'cpu' });
      ops.sum(module.forward(x)).backward();
      module.to('cuda');
      expect([module.factor, module.calls]).toEqual([factor, calls]);
      expect([factor.device, factor.grad?.device, calls.device, x.device]).toEqual([
        'cuda',
        'cuda',
        'cuda',
        'cpu',
      ]);
      expect(Array.from(factor.grad?.dataSync() as Float32Array)).toEqual([1, 2]);
      expect(module.parameters()).toEqual([factor]);
      ops.sum(module.forward(ops.to(x, 'cuda'))).backward();
      expect(Array.from(factor.grad?.dataSync() as Float32Array)).toEqual([2, 4]);
      module.to('cpu');
      expect(Array.from(factor.dataSync())).toEqual([1, 1]);
      module.dispose();
    });
  });
});
