import { allocate, device, memory, ops, scope, tensor } from '../support/library';
import type { Tensor } from '../support/library';

/** 12 GB each, and never touched: the system gives memory out at the first write. */
const HUGE = [1_500_000_000] as const;

describe('a request that does not fit into memory', () => {
  it('is an error that says what was asked, what is in use and what helps; everything lives on', () => {
    const before = memory();
    scope(() => {
      const survivor = tensor([1, 2, 3]);
      const held: Tensor[] = [];
      const fill = (): void => {
        for (let i = 0; i < 1000; ++i) held.push(allocate(HUGE, 'float64', 'cpu'));
      };
      expect(fill).toThrowSphereNetError(
        'SPHERENET_OUT_OF_MEMORY',
        'tensor [1500000000]',
        '11445 MiB requested',
        'in use by tensors',
        'in the machine',
        'would help',
      );
      const { tensors } = memory();
      // Ops allocate too, and say so in the same way; nothing of what they tried is left.
      expect(() => ops.concat([ops.reshape(held[0] ?? survivor, [-1, 1])], 0)).toThrowSphereNetError(
        'SPHERENET_OUT_OF_MEMORY',
      );
      expect(memory().tensors - tensors).toBeLessThanOrEqual(1);
      expect(Array.from(ops.add(survivor, 1).dataSync())).toEqual([2, 3, 4]);
    });
    expect(memory().tensors).toBe(before.tensors);
    device.emptyCache();
    expect(memory().cachedBytes).toBe(0);
  });

  it('is served again once memory was freed', () => {
    scope(() => {
      const first = allocate(HUGE, 'float64', 'cpu');
      first.dispose();
      allocate([1_400_000_000], 'float64', 'cpu').dispose(); // of another size: the cached block has to go
    });
    device.emptyCache();
  });
});
