import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { allocate, device, memory, ops, scope, tensor, zeros } from '../support/library';
import type { Tensor } from '../support/library';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

async function eventually(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 100 && !condition(); ++i) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe('memory', () => {
  it('counts tensors and the bytes behind them; views cost no bytes', () => {
    const before = memory();
    const made: Tensor[] = [
      zeros([10, 10]),
      zeros([3], { dtype: 'float64' }),
      zeros([5], { dtype: 'uint8' }),
    ];
    expect(memory()).toMatchObject({ tensors: before.tensors + 3, bytes: before.bytes + 400 + 24 + 5 });
    const view = ops.reshape(made[0] as Tensor, [100]);
    expect(memory()).toMatchObject({ tensors: before.tensors + 4, bytes: before.bytes + 429 });
    for (const t of made) t.dispose();
    expect(memory()).toMatchObject({ tensors: before.tensors + 1, bytes: before.bytes + 400 });
    view.dispose();
    expect(memory()).toMatchObject({ tensors: before.tensors, bytes: before.bytes });
  });

  it('keeps freed memory for reuse, reports it, and gives it back on request', () => {
    const size = 1_000_000;
    device.emptyCache();
    expect(memory().cachedBytes).toBe(0);
    zeros([size]).dispose();
    const { cachedBytes, peakBytes } = memory();
    expect(cachedBytes).toBeGreaterThanOrEqual(4 * size);
    expect(peakBytes).toBeGreaterThanOrEqual(4 * size);
    zeros([size]).dispose();
    expect(memory().cachedBytes).toBe(cachedBytes);
    device.emptyCache();
    expect(memory().cachedBytes).toBe(0);
  });

  it('comes back through the garbage collector for tensors that nobody disposes', async () => {
    const before = memory();
    const forget = (): void => {
      for (let i = 0; i < 50; ++i) zeros([1000]);
      const x = tensor([1, 2, 3], { requiresGrad: true });
      ops.square(ops.square(x));
    };
    forget();
    expect(memory().tensors).toBeGreaterThan(before.tensors + 50);
    await eventually(() => memory().tensors <= before.tensors);
    expect(memory()).toMatchObject({ tensors: before.tensors, bytes: before.bytes });
  });

  it('is what V8 is told about, so that it collects before much of it is garbage', async () => {
    const before = memory().tensors;
    const megabytes = 4;
    let most = 0;
    for (let i = 0; i < 500; ++i) {
      allocate([megabytes << 18], 'float32', 'cpu'); // nobody disposes it
      most = Math.max(most, memory().bytes);
      await new Promise(setImmediate);
    }
    expect(most).toBeLessThan(500 * megabytes * 2 ** 20 * 0.75);
    await eventually(() => memory().tensors <= before);
  });

  it('is not grown by steps that are alike', () => {
    const step = (): void =>
      scope(() => {
        const x = tensor(new Float32Array(500), { requiresGrad: true });
        ops.sum(ops.square(ops.relu(x))).backward();
      });
    for (let i = 0; i < 5; ++i) step();
    const before = memory();
    for (let i = 0; i < 200; ++i) step();
    expect(memory()).toEqual(before);
  });
});
