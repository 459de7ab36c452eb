import { totalmem } from 'node:os';
import { allocate, device, memory, ops, scope, tensor } from '../support/library';
import type { Tensor } from '../support/library';

/** More than half of the machine each, and never touched: the system gives memory out at the first write. */
const BYTES = Math.min(0.6 * Math.min(totalmem(), process.constrainedMemory() || Infinity), 2 ** 34 - 64);
const ELEMENTS = Math.floor(BYTES / 8);

describe('a request that does not fit into memory', () => {
  it('is an error that says what was asked, what is in use and what helps; everything lives on', () => {
    const before = memory();
    scope(() => {
      const survivor = tensor([1, 2, 3]);
      const held: Tensor[] = [];
      const fill = (): void => {
        for (let i = 0; i < 1000; ++i) held.push(allocate([ELEMENTS], 'float64', 'cpu'));
      };
      expect(fill).toThrowSphereNetError(
        'SPHERENET_OUT_OF_MEMORY',
        `tensor [${ELEMENTS}]`,
        `${Math.ceil((8 * ELEMENTS) / 2 ** 20)} MiB requested`,
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
      const first = allocate([ELEMENTS], 'float64', 'cpu');
      first.dispose();
      allocate([Math.floor(0.9 * ELEMENTS)], 'float64', 'cpu').dispose(); // of another size: the cached block has to go
    });
    device.emptyCache();
  });
});
