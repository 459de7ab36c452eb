import { inScope } from '../support/in_scope';
import { device, keep, memory, ops, scope, tensor, zeros } from '../support/library';
import type { Tensor } from '../support/library';

const count = (): number => memory().tensors;
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('scope', () => {
  it('disposes what was made inside and hands out what is returned', () => {
    const before = count();
    let inner: Tensor | undefined;
    const result = scope(() => {
      inner = tensor([1, 2]);
      return ops.add(inner, 1);
    });
    expect(inner?.isDisposed).toBe(true);
    expect(Array.from(result.dataSync())).toEqual([2, 3]);
    expect(count()).toBe(before + 1);
    result.dispose();
  });

  it('finds results in arrays, plain objects, maps and sets, however deep', () => {
    const before = count();
    const result = scope(() => {
      zeros([3]);
      const loop: Record<string, unknown> = { a: [zeros([1]), { b: zeros([1]) }], n: 1, s: 'x', none: null };
      loop['self'] = loop;
      return { loop, map: new Map([['c', zeros([1])]]), set: new Set([zeros([1])]) };
    });
    expect(count()).toBe(before + 4);
    const { loop, map, set } = result;
    const [a, { b }] = loop['a'] as [Tensor, { b: Tensor }];
    for (const t of [a, b, ...map.values(), ...set]) t.dispose();
  });

  it('hands results to the scope around it', () => {
    const before = count();
    scope(() => {
      const inner = scope(() => scope(() => zeros([2])));
      expect(inner.isDisposed).toBe(false);
    });
    expect(count()).toBe(before);
  });

  it('does not touch tensors from outside, returned or not', () => {
    const x = zeros([1]);
    expect(scope(() => x)).toBe(x);
    expect(x.isDisposed).toBe(false);
    x.dispose();
  });

  it('disposes everything where the function throws', () => {
    const before = count();
    expect(() =>
      scope(() => {
        zeros([4]);
        throw new Error('on purpose');
      }),
    ).toThrow('on purpose');
    expect(count()).toBe(before);
  });

  it('leaves alone what keep() took out of it', () => {
    const kept = scope(() => {
      zeros([2]);
      const t = keep(zeros([1]));
      return { size: t.size, t: new WeakRef(t), dispose: () => t.dispose() };
    });
    expect(kept.t.deref()?.isDisposed).toBe(false);
    kept.dispose();
  });

  it('copes with tensors disposed inside', () => {
    const before = count();
    scope(() => {
      const t = zeros([1]);
      t.dispose();
      t.dispose();
      return t;
    });
    expect(count()).toBe(before);
  });
});

describe('an asynchronous scope', () => {
  it('loses no tensor where others leave it in any order', () => {
    const before = count();
    const made: Tensor[] = [];
    const left = new Set([0, 9, 4, 5, 8, 1]);
    scope(() => {
      for (let i = 0; i < 10; ++i) made.push(tensor([i]));
      for (const i of left) (i % 2 === 0 ? keep : (t: Tensor) => t.dispose())(made[i] as Tensor);
      expect(count()).toBe(before + 7);
    });
    expect(made.map((each) => !each.isDisposed)).toEqual(made.map((_, i) => left.has(i) && i % 2 === 0));
    expect(count()).toBe(before + 3);
    for (const each of made) each.dispose();
    expect(count()).toBe(before);
  });

  it('ends when its promise settles', async () => {
    const before = count();
    let inner: Tensor | undefined;
    const result = await scope(async () => {
      inner = tensor([1]);
      await wait(5);
      expect(inner.isDisposed).toBe(false);
      const later = tensor([2]); // made after an await, still inside
      await later.data();
      return ops.add(inner, later);
    });
    expect(inner?.isDisposed).toBe(true);
    expect(count()).toBe(before + 1);
    expect(await result.item()).toBe(3);
    result.dispose();
  });

  it('disposes everything where the function rejects', async () => {
    const before = count();
    const failing = scope(async () => {
      zeros([4]);
      await wait(2);
      zeros([4]);
      throw new Error('later');
    });
    await expect(failing).rejects.toThrow('later');
    expect(count()).toBe(before);
  });

  it('does not mix with others that run at the same time, nor with the code around it', async () => {
    const before = count();
    const run = (id: number): Promise<Tensor> =>
      scope(async () => {
        const made: Tensor[] = [];
        for (let i = 0; i < 6; ++i) {
          made.push(tensor([id]));
          await wait((id * 7 + i * 3) % 5);
          expect(made.every((t) => !t.isDisposed)).toBe(true);
        }
        return made.reduce((a, b) => ops.add(a, b));
      });
    const running = [1, 2, 3, 4].map(run);
    const outside = tensor([0]);
    const results = await Promise.all(running);
    expect(outside.isDisposed).toBe(false);
    expect(await Promise.all(results.map((t) => t.item()))).toEqual([6, 12, 18, 24]);
    expect(count()).toBe(before + 5);
    for (const t of [outside, ...results]) t.dispose();
  });

  it('can hold synchronous ones and be held by them', async () => {
    const before = count();
    await scope(async () => {
      const a = scope(() => ops.add(zeros([2]), 1));
      await scope(async () => {
        await a.data();
        zeros([3]);
      });
      expect(count()).toBe(before + 1);
    });
    expect(count()).toBe(before);
  });
});

describe('using and dispose', () => {
  it('using frees at the end of the block', () => {
    const before = count();
    {
      using a = zeros([2]);
      using b = ops.add(a, 1);
      expect(b.size).toBe(2);
      expect(count()).toBe(before + 2);
    }
    expect(count()).toBe(before);
  });

  it('dispose can be called twice', () => {
    const t = zeros([2]);
    t.dispose();
    t.dispose();
    expect(t.isDisposed).toBe(true);
  });

  it('every use after dispose names the tensor', async () => {
    const t = tensor([[1, 2]]);
    t.dispose();
    const message = `a float32 tensor [1, 2] on ${device.current()} was used after it was disposed`;
    const other = zeros([1, 2]);
    const uses: (() => unknown)[] = [
      () => t.dataSync(),
      () => t.detach(),
      () => t.assign([1, 2]),
      () => other.assign(t),
      () => ops.add(t, 1),
      () => ops.add(other, t),
      () => ops.reshape(t, [2]),
      () => ops.concat([other, t], 0),
    ];
    for (const use of uses) expect(use).toThrowSphereNetError('SPHERENET_DISPOSED', message);
    await expect(t.data()).rejects.toMatchObject({ code: 'SPHERENET_DISPOSED', message });
    expect(t.toString()).toContain('disposed');
    other.dispose();
  });

  it(
    'reading that began before dispose still ends',
    inScope(async () => {
      const t = tensor([1, 2, 3]);
      const reading = t.data();
      t.dispose();
      zeros([3]); // may get the same memory
      expect(Array.from(await reading)).toEqual([1, 2, 3]);
    }),
  );

  it('disposing a leaf disposes its gradient', () => {
    const x = tensor([1], { requiresGrad: true });
    scope(() => ops.square(x).backward());
    const { grad } = x;
    x.dispose();
    expect(grad?.isDisposed).toBe(true);
  });
});
