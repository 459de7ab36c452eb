import { inScope } from '../support/in_scope';
import { memory, ops, scope, tensor } from '../support/library';
import type { Tensor } from '../support/library';

function leaf(...values: number[]): Tensor {
  return tensor(values, { dtype: 'float64', requiresGrad: true });
}

function gradient(x: Tensor): number[] {
  return Array.from(x.grad?.dataSync() ?? []);
}

describe('the memory of the graph', () => {
  it(
    'goes as backward goes; afterwards only gradients are new',
    inScope(() => {
      const x = leaf(...Array<number>(1000).fill(1.5));
      const start = memory();
      const loss = scope(() => {
        let y: Tensor = x;
        for (let i = 0; i < 10; ++i) y = ops.square(ops.scale(y, 0.9));
        return ops.sum(y);
      });
      expect(memory().bytes).toBeGreaterThanOrEqual(start.bytes + 9 * 8000);
      loss.backward();
      expect(memory().bytes).toBe(start.bytes + 8 + 8000);
      loss.dispose();
      x.zeroGrad();
      expect(memory().bytes).toBe(start.bytes);
      expect(memory().tensors).toBe(start.tensors);
    }),
  );

  it(
    'never holds more than a few gradients at once',
    inScope(() => {
      const count = 50_000;
      const x = tensor(new Float32Array(count), { requiresGrad: true });
      const loss = scope(() => {
        let y: Tensor = x;
        for (let i = 0; i < 30; ++i) y = ops.scale(y, 1.01); // saves nothing
        return ops.sum(y);
      });
      const peakBefore = memory().bytes;
      const seen: number[] = [];
      const { backward } = Object.getPrototypeOf(loss) as Tensor;
      backward.call(loss);
      seen.push(memory().bytes);
      expect(seen[0]).toBe(peakBefore + count * 4);
    }),
  );

  it(
    'goes with the result where backward is never called',
    inScope(() => {
      const x = leaf(1, 2, 3);
      const before = memory().tensors;
      const y = scope(() => ops.square(ops.relu(ops.square(x))));
      expect(memory().tensors).toBe(before + 2); // y, and relu's output, which two ops saved
      y.dispose();
      expect(memory().tensors).toBe(before);
      scope(() => ops.sum(ops.square(ops.mul(x, x))).itemSync());
      expect(memory().tensors).toBe(before);
    }),
  );

  it(
    'is held for a result that shares a disposed branch',
    inScope(() => {
      const x = leaf(3);
      const shared = ops.square(x);
      const [kept, dropped] = [ops.scale(shared, 2), ops.square(shared)];
      dropped.dispose();
      shared.dispose();
      kept.backward();
      expect(gradient(x)).toEqual([12]);
    }),
  );
});

describe('a chain of 5,000 ops', () => {
  it('runs forward and backward and is dropped without overflowing the stack', () => {
    scope(() => {
      const x = leaf(1);
      const chain = (): Tensor =>
        scope(() => {
          let y: Tensor = x;
          for (let i = 0; i < 5000; ++i) y = ops.add(y, 0.001);
          return y;
        });
      const y = chain();
      y.backward();
      expect(gradient(x)).toEqual([1]);
      expect(y.itemSync()).toBeCloseTo(6, 9);
      chain().dispose();
    });
  });
});
