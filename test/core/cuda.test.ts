import { describeCuda, useCuda } from '../support/cuda';
import {
  allocate,
  device,
  Generator,
  memory,
  ops,
  scope,
  SphereNetError,
  tensor,
  zeros,
} from '../support/library';
import type { Tensor, TypedArray } from '../support/library';

/** 0, 1, 2, … */
const counting = (length: number): Float32Array => Float32Array.from({ length }, (_, i) => i);
const MIB = 2 ** 20;

/** Jest's toEqual takes its time with millions of numbers. */
function expectSame(values: TypedArray, expected: TypedArray): void {
  const bytes = ({ buffer, byteOffset, byteLength }: TypedArray): Buffer =>
    Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
  expect(values.constructor).toBe(expected.constructor);
  expect(bytes(values).equals(bytes(expected))).toBe(true);
}

describeCuda('copies to and from the GPU', () => {
  useCuda();

  it.each([1, 3, 1024, 1025, MIB, MIB + 1, 5 * MIB - 1])('keep %d numbers as they are', async (length) => {
    const values = counting(length);
    const t = tensor(values);
    expect(t.device).toBe('cuda');
    expectSame(await t.data(), values);
    expectSame(t.dataSync(), values);
    t.dispose();
  });

  it.each(['float64', 'int32', 'uint8'] as const)('keep %s', (dtype) => {
    const t = tensor([0, 1, 2, 253, 254, 255], { dtype });
    expect(Array.from(t.dataSync())).toEqual([0, 1, 2, 253, 254, 255]);
    t.dispose();
  });

  it('take the values that the host array has when the copy is asked for', () => {
    const values = counting(3 * MIB);
    const t = tensor(values);
    values.fill(-1);
    expectSame(t.dataSync(), counting(3 * MIB));
    t.dispose();
  });

  it('are ordered with the ops around them, however many are under way', async () => {
    await scope(async () => {
      const t = zeros([1000]);
      const reads: Promise<unknown>[] = [];
      for (let i = 0; i < 300; ++i) {
        t.assign(new Float32Array(1000).fill(i));
        const next = ops.add(t, 1);
        reads.push(t.data(), next.data());
        // Its memory may serve again before the read has arrived.
        next.dispose();
      }
      const arrived = (await Promise.all(reads)) as Float32Array[];
      arrived.forEach((values, i) => {
        const expected = Math.floor(i / 2) + (i % 2);
        expect(values.every((value) => value === expected)).toBe(true);
      });
    });
  });

  it('may be larger than what is staged at once, many times over', () => {
    scope(() => {
      const pieces = Array.from({ length: 6 }, (_, i) => tensor(new Float32Array(3 * MIB).fill(i + 1)));
      pieces.forEach((piece, i) => {
        const values = piece.dataSync();
        expect([values[0], values.at(-1), values.every((value) => value === i + 1)]).toEqual([
          i + 1,
          i + 1,
          true,
        ]);
      });
    });
  });

  it('may be awaited in any order, beside blocking ones', async () => {
    await scope(async () => {
      const many = Array.from({ length: 40 }, (_, i) => tensor(counting(i + 1)));
      const reads = many.map((t) => t.data());
      expect((many[39] as Tensor).dataSync()).toEqual(counting(40));
      for (const i of [39, 0, 20, 7]) expect(await reads[i]).toEqual(counting(i + 1));
      await Promise.all(reads);
    });
  });
});

describeCuda('ops.to', () => {
  useCuda();

  it('copies both ways, in the order of the work on both devices', () => {
    scope(() => {
      const host = tensor(counting(100_000), { device: 'cpu' });
      const there = ops.to(ops.add(host, 1), 'cuda');
      expect(there.describe()).toBe('a float32 tensor [100000] on cuda');
      const back = ops.to(ops.scale(there, 2), 'cpu');
      expect(back.device).toBe('cpu');
      expectSame(
        ops.add(back, 0.5).dataSync(),
        counting(100_000).map((value) => 2 * (value + 1) + 0.5),
      );
    });
  });

  it('does not let what arrives overwrite memory that earlier work on the CPU still reads', () => {
    scope(() => {
      const source = ops.add(zeros([50_000], { device: 'cuda' }), 7);
      const sums: Tensor[] = [];
      for (let i = 0; i < 50; ++i) {
        const x = tensor(new Float32Array(50_000).fill(1), { device: 'cpu' });
        sums.push(ops.sum(ops.mul(x, x)));
        x.dispose(); // its memory is the next one's
        ops.to(source, 'cpu').dispose();
      }
      expect(sums.map((sum) => sum.itemSync())).toEqual(Array<number>(50).fill(50_000));
    });
  });

  it('is a view where nothing has to move', () => {
    scope(() => {
      const x = tensor([1, 2]);
      const { bytes } = memory();
      const same = ops.to(x, 'cuda');
      expect(memory().bytes).toBe(bytes);
      x.assign([3, 4]);
      expect(Array.from(same.dataSync())).toEqual([3, 4]);
    });
  });

  it('takes gradients back', () => {
    scope(() => {
      const x = tensor([1, 2, 3], { device: 'cpu', requiresGrad: true });
      ops.sum(ops.mul(ops.to(x, 'cuda'), ops.to(x, 'cuda'))).backward();
      expect(x.grad?.device).toBe('cpu');
      expect(Array.from(x.grad?.dataSync() as Float32Array)).toEqual([2, 4, 6]);
      x.zeroGrad();
    });
  });

  it('remembers the range of labels', () => {
    scope(() => {
      const logits = zeros([2, 3]);
      const labels = ops.to(tensor(Int32Array.of(0, 3), { device: 'cpu' }), 'cuda');
      expect(() => ops.softmaxCrossEntropy(logits, labels)).toThrowSphereNetError(
        'SPHERENET_ARGUMENT',
        'from 0 to 2',
      );
    });
  });

  it('refuses what is no device', () => {
    scope(() => {
      expect(() => ops.to(tensor([1]), 'gpu' as 'cuda')).toThrowSphereNetError(
        'SPHERENET_ARGUMENT',
        "'cuda'",
      );
    });
  });
});

describeCuda('tensors of two devices in one op', () => {
  useCuda();

  it.each<[string, (here: Tensor, there: Tensor) => unknown, string]>([
    ['add', (here, there) => ops.add(here, there), 'add: b must be on cuda'],
    ['concat', (here, there) => ops.concat([here, there], 0), 'on cuda'],
    ['conv2d', (here, there) => ops.conv2d(here, there), 'conv2d: weight must be on cuda'],
    ['sphereConv2d', (here, there) => ops.sphereConv2d(here, there), 'sphereConv2d: weight must be on cuda'],
    [
      'assign',
      (here, there) => {
        here.assign(there);
      },
      'Tensor.assign: source must be a float32 tensor [1, 2, 2, 1] on cuda',
    ],
  ])('are an error that names the argument: %s', (_, call, message) => {
    scope(() => {
      const here = zeros([1, 2, 2, 1]);
      const there = zeros([1, 2, 2, 1], { device: 'cpu' });
      expect(() => call(here, there)).toThrowSphereNetError('SPHERENET_ARGUMENT', message);
    });
  });

  it('are an error in backward(gradient)', () => {
    scope(() => {
      const y = ops.square(zeros([2], { requiresGrad: true }));
      const gradient = zeros([2], { device: 'cpu' });
      expect(() => y.backward(gradient)).toThrowSphereNetError('SPHERENET_ARGUMENT', 'on cuda', 'on cpu');
    });
  });
});

describeCuda('memory on the GPU', () => {
  useCuda();

  beforeEach(() => {
    device.emptyCache();
  });

  it('is counted by device, and given back on request', () => {
    const before = memory().devices;
    const t = allocate([MIB], 'float32', 'cuda');
    const { cuda, cpu } = memory().devices;
    expect(cuda.bytes - before.cuda.bytes).toBe(4 * MIB);
    expect(cuda.peakBytes).toBeGreaterThanOrEqual(cuda.bytes);
    expect(cpu).toEqual(before.cpu);
    t.dispose();
    expect(memory().devices.cuda.bytes).toBe(before.cuda.bytes);
    expect(memory().devices.cuda.cachedBytes).toBeGreaterThanOrEqual(4 * MIB);
    device.emptyCache();
    expect(memory().devices.cuda.cachedBytes).toBe(before.cuda.cachedBytes);
  });

  it('is used again: blocks are split and joined, so that nothing more is asked for', () => {
    const owned = (): number => memory().devices.cuda.cachedBytes + memory().devices.cuda.bytes;
    const before = owned();
    allocate([16 * MIB], 'uint8', 'cuda').dispose();
    const most = owned();
    expect(most).toBeGreaterThan(before);
    // Parts of it, freed in another order than they were made, then all of it at once.
    const parts = Array.from({ length: 4 }, () => allocate([4 * MIB], 'uint8', 'cuda'));
    for (const i of [2, 0, 3, 1]) (parts[i] as Tensor).dispose();
    allocate([16 * MIB], 'uint8', 'cuda').dispose();
    expect(owned()).toBe(most);
  });

  it('of random sizes is never handed out twice', () => {
    const generator = new Generator(7);
    const below = (limit: number): number => generator.nextSeed() % limit;
    scope(() => {
      const live = new Map<number, Tensor>();
      for (let i = 0; i < 400; ++i) {
        const size = 1 + below(2 ** (1 + below(19)));
        live.set(i, ops.add(zeros([size]), i));
        const victim = [...live.keys()][below(live.size)] as number;
        if (live.size > 30) {
          const t = live.get(victim) as Tensor;
          expect(t.dataSync().every((value) => value === victim)).toBe(true);
          t.dispose();
          live.delete(victim);
        }
      }
      for (const [i, t] of live) expect(t.dataSync().every((value) => value === i)).toBe(true);
    });
  });
});

describe('device.cuda.precision', () => {
  it("is 'tf32' unless set otherwise", () => {
    expect(device.cuda.precision).toBe('tf32');
    device.cuda.precision = 'float32';
    expect(device.cuda.precision).toBe('float32');
    device.cuda.precision = 'tf32';
  });

  it('refuses what is none', () => {
    expect(() => {
      device.cuda.precision = 'bf16' as 'tf32';
    }).toThrow(SphereNetError);
    expect(device.cuda.precision).toBe('tf32');
  });
});
