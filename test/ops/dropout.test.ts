import { inScope } from '../support/in_scope';
import { Generator, ops, random, tensor } from '../support/library';
import { gradcheck } from '../support/gradcheck';

const COUNT = 100_000;

describe('dropout', () => {
  it.each([0.1, 0.5, 0.9])('with p = %p drops that share and keeps the mean', (p) =>
    inScope(() => {
      const y = ops
        .dropout(tensor(new Float32Array(COUNT).fill(1)), p, { seed: 11 })
        .dataSync() as Float32Array;
      const kept = y.filter((v) => v !== 0);
      expect(kept.length / COUNT).toBeCloseTo(1 - p, 2);
      expect(kept.every((v) => v === Math.fround(1 / (1 - p)))).toBe(true);
      const mean = y.reduce((a, b) => a + b, 0) / COUNT;
      expect(Math.abs(mean - 1)).toBeLessThan(4 * Math.sqrt(p / (1 - p) / COUNT));
    })(),
  );

  it(
    'uses the same mask for the gradient',
    inScope(() => {
      const x = tensor(new Float32Array(1000).fill(1), { requiresGrad: true });
      const y = ops.dropout(x, 0.3);
      ops.sum(y).backward();
      expect(x.grad?.dataSync()).toEqual(y.dataSync());
      gradcheck((z) => ops.dropout(z, 0.4, { seed: 3 }), [{ shape: [5, 7] }]);
    }),
  );

  it(
    'repeats with a seed or an equal generator, and differs without',
    inScope(() => {
      const x = tensor(new Float32Array(200).fill(1));
      const drop = (options: Parameters<typeof ops.dropout>[2]): unknown =>
        ops.dropout(x, 0.5, options).dataSync();
      expect(drop({ seed: 5 })).toEqual(drop({ seed: 5 }));
      expect(drop({ seed: 5 })).not.toEqual(drop({ seed: 6 }));
      expect(drop({ generator: new Generator(8) })).toEqual(drop({ generator: new Generator(8) }));
      random.seed(1);
      const first = drop({});
      expect(drop({})).not.toEqual(first);
      random.seed(1);
      expect(drop({})).toEqual(first);
    }),
  );

  it(
    'changes nothing with p = 0 or outside of training',
    inScope(() => {
      const x = tensor([1, 2, 3], { requiresGrad: true });
      expect(Array.from(ops.dropout(x, 0).dataSync())).toEqual([1, 2, 3]);
      const y = ops.dropout(x, 0.9, { training: false });
      expect(Array.from(y.dataSync())).toEqual([1, 2, 3]);
      ops.sum(y).backward();
      expect(Array.from(x.grad?.dataSync() ?? [])).toEqual([1, 1, 1]);
    }),
  );

  it(
    'hides neither infinity nor what would overflow as NaN',
    inScope(() => {
      const y = ops.dropout(tensor(new Float32Array(100).fill(Infinity)), 0.5, { seed: 1 }).dataSync();
      expect(y.every((v) => v === 0 || v === Infinity)).toBe(true);
    }),
  );
});
