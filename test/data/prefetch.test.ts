import { prefetched, Slots, SlotsClosed } from '../../ts/data/prefetch';
import { Numbers } from '../support/numbers';

const later = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

const nothing = (): void => undefined;

describe('slots', () => {
  it('run so many tasks at once, and the others in order', async () => {
    const slots = new Slots(3);
    const begun: number[] = [];
    let running = 0;
    let most = 0;
    const tasks = Array.from({ length: 10 }, (_, i) =>
      slots.run(async () => {
        begun.push(i);
        most = Math.max(most, ++running);
        await later(1 + ((7 * i) % 3));
        --running;
        return i;
      }),
    );
    expect(await Promise.all(tasks)).toEqual([...Array(10).keys()]);
    expect(begun).toEqual([...Array(10).keys()]);
    expect(most).toBe(3);
  });

  it('give a failed task’s place to the next', async () => {
    const slots = new Slots(1);
    const failing = slots.run(() => Promise.reject(new Error('no')));
    const next = slots.run(() => Promise.resolve(2));
    await expect(failing).rejects.toThrow('no');
    expect(await next).toBe(2);
    expect(await slots.run(() => Promise.resolve(3))).toBe(3);
  });

  it('begin nothing after they were closed, and let what runs end', async () => {
    const slots = new Slots(1);
    const running = slots.run(() => later(5));
    const task = jest.fn(() => Promise.resolve());
    const waiting = slots.run(task);
    slots.close();
    await expect(waiting).rejects.toThrow(SlotsClosed);
    await running;
    expect(task).not.toHaveBeenCalled();
  });
});

describe('prefetched', () => {
  it.each([0, 1, 2, 5, 100])('keeps the order, and makes %d ahead at most', async (ahead) => {
    const numbers = new Numbers(ahead);
    let made = 0;
    let ready = 0;
    const items = prefetched(
      20,
      ahead,
      async (place) => {
        ++made;
        await later(numbers.below(4));
        ++ready;
        return place;
      },
      nothing,
    );
    const got: number[] = [];
    for await (const item of items) {
      got.push(item);
      expect(made).toBe(Math.min(20, got.length + ahead));
      await later(numbers.below(4));
      expect(made).toBe(Math.min(20, got.length + ahead));
    }
    expect(got).toEqual([...Array(20).keys()]);
    expect(ready).toBe(20);
  });

  it('meets a failure when it is its turn, and waits for what was begun', async () => {
    let open = 0;
    const items = prefetched(
      10,
      3,
      async (place) => {
        ++open;
        await later(place === 2 ? 0 : 5);
        --open;
        if (place === 2 || place === 3) throw new Error(`bad ${place}`);
        return place;
      },
      nothing,
    );
    const got: number[] = [];
    const run = (async () => {
      for await (const item of items) got.push(item);
    })();
    await expect(run).rejects.toThrow('bad 2');
    expect(got).toEqual([0, 1]);
    expect(open).toBe(0);
  });

  it('says that it ends, and waits for what was begun, where nobody wants more', async () => {
    let open = 0;
    let stopped = 0;
    const items = prefetched(
      10,
      3,
      async (place) => {
        ++open;
        await later(place);
        --open;
      },
      () => ++stopped,
    );
    for await (const _ of items) break;
    expect([open, stopped]).toEqual([0, 1]);
  });
});
