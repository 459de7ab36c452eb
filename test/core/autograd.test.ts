import { inScope } from '../support/in_scope';
import { enableGrad, isGradEnabled, memory, noGrad, ops, scope, tensor } from '../support/library';
import type { Tensor } from '../support/library';

function leaf(...values: number[]): Tensor {
  return tensor(values, { dtype: 'float64', requiresGrad: true });
}

function gradient(x: Tensor): number[] {
  return Array.from(x.grad?.dataSync() ?? []);
}

describe('backward', () => {
  it(
    'adds up what arrives along every path of a diamond',
    inScope(() => {
      const x = leaf(3);
      const shared = ops.square(x); // 9, slope 6
      const y = ops.add(ops.mul(shared, 2), ops.mul(shared, shared)); // slope (2 + 2·9) · 6
      y.backward();
      expect(gradient(x)).toEqual([120]);
    }),
  );

  it(
    'visits a node only after everything that used it, also where paths differ in length',
    inScope(() => {
      const x = leaf(2);
      const a = ops.square(x);
      let long = a;
      for (let i = 0; i < 5; ++i) long = ops.scale(long, 2);
      ops.add(ops.add(long, a), ops.mul(a, 3)).backward();
      expect(gradient(x)).toEqual([4 * (32 + 1 + 3)]);
    }),
  );

  it(
    'takes a tensor that is used twice by one op',
    inScope(() => {
      const x = leaf(1, 2, 3);
      ops.sum(ops.mul(x, x)).backward();
      expect(gradient(x)).toEqual([2, 4, 6]);
      const z = leaf(1, 2);
      ops.sum(ops.add(z, z)).backward();
      expect(gradient(z)).toEqual([2, 2]);
      const c = leaf(1);
      ops.sum(ops.concat([c, c, c], 0)).backward();
      expect(gradient(c)).toEqual([3]);
    }),
  );

  it(
    'accumulates over several calls until zeroGrad',
    inScope(() => {
      const x = leaf(1, 2);
      ops.sum(ops.scale(x, 3)).backward();
      const first = x.grad;
      ops.sum(ops.scale(x, 4)).backward();
      expect(gradient(x)).toEqual([7, 7]);
      expect(x.grad).toBe(first);
      x.zeroGrad();
      expect(x.grad).toBeNull();
      expect(first?.isDisposed).toBe(true);
      ops.sum(x).backward();
      expect(gradient(x)).toEqual([1, 1]);
    }),
  );

  it(
    'accumulates into a gradient of its own even where two leaves receive the same one',
    inScope(() => {
      const [a, b] = [leaf(1), leaf(2)];
      ops.add(a, b).backward();
      ops.scale(a, 10).backward();
      expect([gradient(a), gradient(b)]).toEqual([[11], [1]]);
      const seed = tensor([5], { dtype: 'float64' });
      const c = leaf(0);
      ops.reshape(c, [1]).backward(seed);
      ops.reshape(c, [1]).backward(seed);
      expect([gradient(c), Array.from(seed.dataSync())]).toEqual([[10], [5]]);
    }),
  );

  it(
    'starts from a given gradient, which it leaves alone',
    inScope(() => {
      const x = leaf(1, 2, 3);
      const seed = tensor([10, 0, -1], { dtype: 'float64' });
      ops.square(x).backward(seed);
      expect(gradient(x)).toEqual([20, 0, -6]);
      expect(Array.from(seed.dataSync())).toEqual([10, 0, -1]);
    }),
  );

  it(
    'of a leaf is an error: there is nothing to go back through',
    inScope(() => {
      const x = leaf(4);
      expect(() => x.backward()).toThrowSphereNetError('SPHERENET_AUTOGRAD', 'nothing was recorded');
      expect(x.grad).toBeNull();
    }),
  );

  it(
    'works outside of the scope that computed the loss, whose intermediates are gone by then',
    inScope(() => {
      const x = leaf(1, -2, 3);
      const loss = scope(() => ops.sum(ops.square(ops.relu(ops.scale(x, 2)))));
      loss.backward();
      expect(gradient(x)).toEqual([8, 0, 24]);
    }),
  );

  it(
    'gives nothing to inputs that do not ask, and prunes what leads nowhere',
    inScope(() => {
      const x = leaf(2);
      const constant = tensor([3], { dtype: 'float64' });
      const y = ops.mul(ops.square(constant), x);
      expect(ops.square(constant).requiresGrad).toBe(false);
      y.backward();
      expect(constant.grad).toBeNull();
      expect(gradient(x)).toEqual([9]);
    }),
  );

  it(
    'follows several losses over one graph as long as each is used once',
    inScope(() => {
      const x = leaf(2);
      const [a, b] = [ops.square(x), ops.scale(x, 5)];
      a.backward();
      b.backward();
      expect(gradient(x)).toEqual([9]);
    }),
  );
});

describe('backward a second time', () => {
  it(
    'is refused, because the graph was freed',
    inScope(() => {
      const x = leaf(1);
      const y = ops.square(ops.scale(x, 2));
      y.backward();
      expect(() => y.backward()).toThrowSphereNetError('SPHERENET_AUTOGRAD', 'already freed', 'square');
      expect(gradient(x)).toEqual([8]);
    }),
  );

  it(
    'is refused from another root into the freed part, without a trace',
    inScope(() => {
      const x = leaf(1);
      const shared = ops.square(x);
      const [a, b] = [ops.scale(shared, 2), ops.scale(shared, 3)];
      a.backward();
      const before = memory().tensors;
      expect(() => b.backward()).toThrowSphereNetError('SPHERENET_AUTOGRAD', 'already freed');
      expect(memory().tensors).toBe(before);
      expect(gradient(x)).toEqual([4]);
    }),
  );
});

describe('backward of what was not recorded', () => {
  it(
    'says so',
    inScope(() => {
      const constant = tensor([1]);
      const words = ['backward', 'float32 tensor [1]', 'requiresGrad'];
      expect(() => constant.backward()).toThrowSphereNetError('SPHERENET_AUTOGRAD', ...words);
      expect(() => ops.square(constant).backward()).toThrowSphereNetError('SPHERENET_AUTOGRAD', ...words);
      const x = leaf(1);
      const y = noGrad(() => ops.square(x));
      expect(() => y.backward()).toThrowSphereNetError('SPHERENET_AUTOGRAD', 'noGrad');
    }),
  );

  it(
    'wants a gradient for more than one number, of the same shape and dtype',
    inScope(() => {
      const y = ops.square(leaf(1, 2));
      expect(() => y.backward()).toThrowSphereNetError('SPHERENET_ARGUMENT', 'backward: gradient', '[2]');
      const wrong = [tensor([1, 1, 1], { dtype: 'float64' }), tensor([1, 1]), tensor(Int32Array.of(1, 1))];
      for (const given of wrong) {
        expect(() => y.backward(given)).toThrowSphereNetError(
          'SPHERENET_ARGUMENT',
          'float64 tensor [2]',
          given.describe(),
        );
      }
    }),
  );
});

describe('a tensor that an op saved and that is overwritten before backward', () => {
  it(
    'is noticed, whether written directly, through a view or by a detached tensor, and nothing leaks',
    inScope(() => {
      const writes: ((x: Tensor) => void)[] = [
        (x) => x.assign([5, 6]),
        (x) => ops.reshape(x.detach(), [1, 2]).assign([5, 6]),
        (x) => x.detach().assign(tensor([5, 6], { dtype: 'float64' })),
      ];
      for (const write of writes) {
        scope(() => {
          const x = leaf(1, 2);
          const y = ops.sum(ops.scale(ops.square(x), 2));
          write(x);
          const before = memory().tensors;
          expect(() => y.backward()).toThrowSphereNetError('SPHERENET_AUTOGRAD', 'overwritten', 'square');
          // The part above the square was consumed, so fewer tensors are held, never more.
          expect(memory().tensors).toBeLessThanOrEqual(before);
        });
      }
    }),
  );

  it(
    'does not matter where the op saved something else or nothing',
    inScope(() => {
      const x = leaf(1, 2);
      const y = ops.sum(ops.relu(ops.scale(x, 3)));
      x.assign([-5, -6]);
      y.backward();
      expect(gradient(x)).toEqual([3, 3]);
    }),
  );
});

describe('noGrad', () => {
  it(
    'stops recording inside, also across await and nested calls, and enableGrad resumes it',
    inScope(async () => {
      const x = leaf(1);
      const outside = noGrad(async () => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        expect(isGradEnabled()).toBe(false);
        enableGrad(() => expect(ops.square(x).requiresGrad).toBe(true));
        return ops.square(x).requiresGrad;
      });
      expect(isGradEnabled()).toBe(true);
      expect(ops.square(x).requiresGrad).toBe(true);
      expect(await outside).toBe(false);
      expect(() =>
        noGrad(() => {
          throw new Error('inside');
        }),
      ).toThrow('inside');
      expect(isGradEnabled()).toBe(true);
    }),
  );

  it(
    'saves nothing',
    inScope(() => {
      const x = leaf(1, 2, 3);
      const before = memory().tensors;
      const y = noGrad(() => scope(() => ops.square(ops.square(x))));
      expect(memory().tensors).toBe(before + 1);
      expect(y.requiresGrad).toBe(false);
    }),
  );
});

describe('leaves', () => {
  it(
    'are what users make; only they can change requiresGrad and be assigned',
    inScope(() => {
      const x = leaf(1);
      const y = ops.square(x);
      expect([x.requiresGrad, y.requiresGrad]).toEqual([true, true]);
      expect(() => {
        y.requiresGrad = false;
      }).toThrowSphereNetError('SPHERENET_ARGUMENT', 'Tensor.requiresGrad', 'leaf');
      expect(() => y.assign([1])).toThrowSphereNetError('SPHERENET_ARGUMENT', 'Tensor.assign', 'leaf');
      y.backward();
      expect(y.grad).toBeNull();
      x.requiresGrad = false;
      expect(ops.square(x).requiresGrad).toBe(false);
    }),
  );

  it(
    'of whole numbers take no gradient',
    inScope(() => {
      const labels = tensor(Int32Array.of(1));
      expect(() => {
        labels.requiresGrad = true;
      }).toThrowSphereNetError('SPHERENET_ARGUMENT', 'float32 or float64', 'int32');
    }),
  );

  it(
    'that were disposed before backward are passed over',
    inScope(() => {
      const [x, z] = [leaf(2), leaf(3)];
      const y = ops.mul(x, z);
      x.dispose();
      y.backward();
      expect(gradient(z)).toEqual([2]);
    }),
  );
});

describe('detach', () => {
  it(
    'shares the memory and not the history',
    inScope(() => {
      const x = leaf(2);
      const y = ops.square(x);
      const before = memory().bytes;
      const d = y.detach();
      expect(memory().bytes).toBe(before);
      expect([d.requiresGrad, d.itemSync()]).toEqual([false, 4]);
      ops.mul(y, d).backward(); // d counts as the constant 4
      expect(gradient(x)).toEqual([16]);
    }),
  );

  it(
    'survives the tensor it came from, and the other way round',
    inScope(() => {
      const x = leaf(1, 2);
      const d = x.detach();
      x.dispose();
      expect(Array.from(d.dataSync())).toEqual([1, 2]);
      const e = d.detach();
      e.dispose();
      expect(Array.from(d.dataSync())).toEqual([1, 2]);
    }),
  );
});
