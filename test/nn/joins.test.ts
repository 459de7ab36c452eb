/** Modules that join what other modules make of one input: Residual and Branches. */
import * as nn from '../../ts/nn';
import { wrong } from '../support/bad_calls';
import { gradcheck } from '../support/gradcheck';
import { inScope } from '../support/in_scope';
import { memory, ops, scope, tensor, zeros } from '../support/library';
import type { Tensor } from '../support/library';
import { Numbers } from '../support/numbers';

/** factor · x */
class Times extends nn.Module {
  constructor(readonly factor: number) {
    super();
  }

  forward(x: Tensor): Tensor {
    return ops.mul(x, this.factor);
  }
}

const row = (...values: number[]): Tensor => tensor(Float32Array.from(values), { shape: [1, values.length] });
const angular = (inChannels: number, outChannels: number, kernel: number, stride = 1): nn.SphereConv2d =>
  new nn.SphereConv2d(inChannels, outChannels, kernel, { padding: (kernel - 1) / 2, stride });

/** Two 3×3 SphereConvs as they stand in a residual unit. */
function unitBody(inChannels: number, outChannels: number, stride: number): nn.Sequential {
  return new nn.Sequential(
    ...[angular(inChannels, outChannels, 3, stride), new nn.BatchNorm2d(outChannels), new nn.ReLU()],
    ...[angular(outChannels, outChannels, 3), new nn.BatchNorm2d(outChannels)],
  );
}

function unitShortcut(inChannels: number, outChannels: number, stride: number): nn.Sequential {
  const conv = new nn.Conv2d(inChannels, outChannels, 1, { stride, bias: false });
  return new nn.Sequential(conv, new nn.BatchNorm2d(outChannels));
}

function layersOf(part: nn.Module | null): readonly nn.Module[] {
  if (!(part instanceof nn.Sequential)) throw new TypeError('no Sequential');
  return part.layers;
}

describe('Residual', () => {
  it(
    'adds its input or a shortcut to its body, and then rectifies',
    inScope(() => {
      const x = row(1, -1, 0.5);
      const values = (unit: nn.Module): number[] => [...unit.forward(x).dataSync()];
      expect(values(new nn.Residual(new Times(-3)))).toEqual([0, 2, 0]);
      expect(values(new nn.Residual(new Times(-3), null, { relu: false }))).toEqual([-2, 2, -1]);
      expect(values(new nn.Residual(new Times(-3), new Times(5)))).toEqual([2, 0, 1]);
    }),
  );

  it(
    'passes gradients to both',
    inScope(() => {
      const dtype = 'float64' as const;
      const body = new nn.Sequential(
        new nn.SphereConv2d(2, 3, 3, { padding: 1, operator: 'linear', dtype }),
        new nn.SphereConv2d(3, 3, 3, { padding: 1, dtype }),
      );
      const shortcut = new nn.Conv2d(2, 3, 1, { dtype });
      for (const relu of [false, true]) {
        const unit = new nn.Residual(body, shortcut, { relu });
        gradcheck((x) => unit.forward(x), [{ shape: [2, 4, 4, 2] }], { tolerance: 1e-6 });
      }
      const plain = new nn.Residual(new nn.Conv2d(2, 2, 1, { dtype }));
      gradcheck((x) => plain.forward(x), [{ shape: [1, 3, 3, 2] }]);
      for (const module of [body, shortcut, plain]) module.dispose();
    }),
  );

  it('gives what its layers give one by one, in training and in inference', async () => {
    await scope(async () => {
      const make = (): nn.Residual => new nn.Residual(unitBody(3, 4, 2), unitShortcut(3, 4, 2));
      const numbers = new Numbers(3);
      const [unit, twin] = [make(), make()];
      twin.loadStateDict(await unit.stateDict());
      const x = tensor(numbers.normals(2 * 6 * 6 * 3), { shape: [2, 6, 6, 3], dtype: 'float32' });
      const dy = tensor(numbers.normals(2 * 3 * 3 * 4), { shape: [2, 3, 3, 4], dtype: 'float32' });
      const oneByOne = (part: nn.Module | null): Tensor =>
        layersOf(part).reduce((value, layer) => layer.forward(value), x);
      for (const training of [true, false]) {
        unit.train(training);
        twin.train(training);
        const together = unit.forward(x);
        const expected = ops.relu(ops.add(oneByOne(twin.body), oneByOne(twin.shortcut)));
        expect(together).toBeAllClose(expected, 1e-5);
        together.backward(dy);
        expected.backward(dy);
        const gradients = twin.namedParameters();
        for (const [name, { grad }] of unit.namedParameters()) {
          expect(grad as Tensor).toBeAllClose(gradients.get(name)?.grad as Tensor, 1e-4);
        }
        unit.zeroGrad();
        twin.zeroGrad();
      }
      for (const module of [unit, twin]) module.dispose();
    });
  });

  it(
    'finds its parameters, and leaves nothing but them behind',
    inScope(() => {
      const unit = new nn.Residual(unitBody(2, 2, 1));
      expect([...unit.namedParameters().keys()]).toEqual(
        ['0.weight', '1.gamma', '1.beta', '3.weight', '4.gamma', '4.beta'].map((path) => `body.${path}`),
      );
      const held = memory().tensors;
      scope(() => {
        ops.sum(unit.forward(zeros([2, 3, 3, 2]))).backward();
        unit.zeroGrad();
      });
      expect(memory().tensors).toBe(held);
      unit.dispose();
    }),
  );

  it(
    'says what does not fit',
    inScope(() => {
      expect(() => new nn.Residual(wrong('conv'))).toThrow(
        "Residual: body must be a Module, got the string 'conv'",
      );
      expect(() => new nn.Residual(new Times(1), wrong(1))).toThrow(
        'Residual: shortcut must be a Module or null, got 1',
      );
      const conv = new nn.Conv2d(2, 1, 1);
      const x = zeros([1, 3, 3, 2]);
      // One channel would broadcast.
      expect(() => new nn.Residual(conv).forward(x)).toThrow(
        "Residual: body must be a module that gives the input's shape [1, 3, 3, 2], got one that gives [1, 3, 3, 1]",
      );
      expect(() => new nn.Residual(conv, new Times(1)).forward(x)).toThrow(
        "Residual: shortcut must be a module that gives the body's output shape [1, 3, 3, 1], got one that gives " +
          '[1, 3, 3, 2]',
      );
      conv.dispose();
    }),
  );
});

describe('Branches', () => {
  it(
    'puts channels one behind the other',
    inScope(() => {
      const branches = new nn.Branches(new Times(1), new Times(-1), new Times(10));
      const y = branches.forward(tensor(Float32Array.of(1, 2, 3, 4), { shape: [2, 1, 1, 2] }));
      expect(y.shape).toEqual([2, 1, 1, 6]);
      expect([...y.dataSync()]).toEqual([1, 2, -1, -2, 10, 20, 3, 4, -3, -4, 30, 40]);
    }),
  );

  it(
    'passes gradients to each',
    inScope(() => {
      const dtype = 'float64' as const;
      const branches = new nn.Branches(
        new nn.SphereConv2d(2, 3, 3, { padding: 1, operator: 'linear', dtype }),
        new nn.Conv2d(2, 1, 1, { dtype }),
        new nn.Sequential(
          new nn.AvgPool2d(3, { stride: 1, padding: 1 }),
          new nn.SphereConv2d(2, 2, 1, { dtype }),
        ),
      );
      gradcheck((x) => branches.forward(x), [{ shape: [2, 4, 3, 2] }]);
      expect([...branches.namedParameters().keys()]).toEqual([
        '0.weight',
        '1.weight',
        '1.bias',
        '2.1.weight',
      ]);
      branches.dispose();
    }),
  );

  it(
    'runs fused layers within, and leaves nothing behind',
    inScope(() => {
      const branches = new nn.Branches(unitBody(2, 3, 1), unitShortcut(2, 2, 1));
      const held = memory().tensors;
      scope(() => {
        const y = branches.forward(zeros([2, 4, 4, 2]));
        expect(y.shape).toEqual([2, 4, 4, 5]);
        ops.sum(y).backward();
        branches.zeroGrad();
      });
      expect(memory().tensors).toBe(held);
      branches.dispose();
    }),
  );

  it(
    'says what does not fit',
    inScope(() => {
      expect(() => new nn.Branches()).toThrow('Branches: branches must be at least one Module, got none');
      expect(() => new nn.Branches(new Times(1), wrong(null))).toThrow(
        'Branches: branches[1] must be a Module, got null',
      );
      const pool = new nn.MaxPool2d(2);
      expect(() => new nn.Branches(new Times(1), pool).forward(zeros([1, 4, 4, 2]))).toThrow(
        'Branches: branches[1] must be a module that gives [1, 4, 4, 2] but for the channels, as branches[0] does, ' +
          'got one that gives [1, 2, 2, 2]',
      );
    }),
  );
});
