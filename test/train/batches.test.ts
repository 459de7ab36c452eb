import { firstOf, forwardBatch, pipelined } from '../../ts/train/batches';
import type { Batch } from '../../ts/train';
import { inScope } from '../support/in_scope';
import { Generator, random, tensor } from '../support/library';
import { stripesModel } from './patterns';

const batch = {} as Batch;
const source = (count: number): Batch[] => Array.from({ length: count }, () => batch);
const later = <T>(value: T): Promise<T> => new Promise((resolve) => setTimeout(() => resolve(value), 5));

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

describe('pipelined', () => {
  it('launches a batch before it hands over the result of the one before', async () => {
    const events: string[] = [];
    let launched = 0;
    const results = pipelined(source(3), () => {
      const place = ++launched;
      events.push(`launch ${place}`);
      return later(place);
    });
    for await (const result of results) events.push(`result ${result}`);
    expect(events).toEqual(['launch 1', 'launch 2', 'result 1', 'launch 3', 'result 2', 'result 3']);
  });

  it('reports a failure where its result is due, and waits for what is under way', async () => {
    let launched = 0;
    let finished = 0;
    const results = pipelined(source(5), async () => {
      const place = ++launched;
      if (place === 2) throw new Error('second');
      await later(null);
      ++finished;
      return place;
    });
    const got: number[] = [];
    const run = (async () => {
      for await (const result of results) got.push(result);
    })();
    await expect(run).rejects.toThrow('second');
    expect(got).toEqual([1]);
    expect(launched).toBe(3);
    expect(finished).toBe(2);
  });

  it('waits for the launched batch where nobody wants more', async () => {
    let finished = 0;
    const results = pipelined(source(5), async () => {
      await later(null);
      return ++finished;
    });
    for await (const _ of results) break;
    expect(finished).toBe(2);
  });
});

describe('firstOf', () => {
  it('ends after a count, at the end of the source, or at an abort', async () => {
    const list = Object.assign(source(4), {});
    expect(await collect(firstOf(list, 3))).toHaveLength(3);
    expect(await collect(firstOf(list, 9))).toHaveLength(4);
    expect(await collect(firstOf(list, 9, AbortSignal.abort()))).toHaveLength(0);
  });

  it('does not ask for a batch that nobody needs', async () => {
    let asked = 0;
    const counting = {
      length: 5,
      *[Symbol.iterator]() {
        for (;;) {
          ++asked;
          yield batch;
        }
      },
    };
    await collect(firstOf(counting, 2));
    expect(asked).toBe(2);
  });
});

describe('forwardBatch', () => {
  it(
    'records the loss, and not the scores',
    inScope(() => {
      const model = stripesModel('angular');
      const images = random.normal([3, 8, 8, 1], { generator: new Generator(1) });
      const { loss, logits } = forwardBatch(model, images, tensor(Int32Array.of(0, 1, 0)));
      expect([loss.shape, logits.shape]).toEqual([[], [3, 2]]);
      expect([loss.requiresGrad, logits.requiresGrad]).toEqual([true, false]);
      model.dispose();
    }),
  );
});
