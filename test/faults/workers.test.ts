import { Worker } from 'node:worker_threads';
import { compileLibrary, program } from '../support/compiled';
import { ops, random, scope } from '../support/library';

const compiled = compileLibrary();

afterAll(() => compiled.remove());

interface Result {
  values: number[];
  tensors: number;
}

function start(data: { seed: number; steps?: number; forever?: boolean }): Worker {
  return new Worker(program('worker.js'), { workerData: data, env: compiled.env });
}

function result(worker: Worker): Promise<Result> {
  return new Promise((resolve, reject) => {
    worker.on('message', (message: Result | string) => {
      if (typeof message !== 'string') resolve(message);
    });
    worker.on('error', reject);
    worker.on('exit', (code) => reject(new Error(`the worker ended with ${code}`)));
  });
}

describe('worker threads', () => {
  it('load the addon and train; several at once and the main thread do not disturb each other', async () => {
    const alone = await result(start({ seed: 5, steps: 12 }));
    const other = await result(start({ seed: 6, steps: 12 }));
    expect(alone.values).not.toEqual(other.values);
    expect(alone.values.at(-1)).toBeLessThan(alone.values[0] as number);
    const together = [5, 6, 5].map((seed) => result(start({ seed, steps: 12 })));
    let done = false;
    const all = Promise.all(together).finally(() => {
      done = true;
    });
    random.seed(3);
    const expected = scope(() => ops.mean(ops.square(random.normal([64, 1000]))).itemSync());
    while (!done) {
      await scope(async () => {
        random.seed(3);
        expect(await ops.mean(ops.square(random.normal([64, 1000]))).item()).toBe(expected);
      });
    }
    const [first, second, third] = (await all) as [Result, Result, Result];
    expect(first.values).toEqual(alone.values);
    expect(second.values).toEqual(other.values);
    expect(third.values).toEqual(alone.values);
    expect([first, second, third].map(({ tensors }) => tensors)).toEqual([0, 0, 0]);
  });

  it('can be terminated in the middle of work, again and again', async () => {
    for (let i = 0; i < 5; ++i) {
      const worker = start({ seed: i, forever: true });
      await new Promise((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      });
      await new Promise((resolve) => setTimeout(resolve, 7 * i));
      await worker.terminate();
    }
    expect((await result(start({ seed: 5, steps: 3 }))).values).toHaveLength(3);
  });

  it('end without waiting for an op that would go on for minutes', async () => {
    const worker = new Worker(program('busy_worker.js'), { env: compiled.env });
    await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    await worker.terminate();
  });
});

describe('two trainings at once in one thread', () => {
  it('give the numbers that each gives alone', async () => {
    interface Net {
      step(): { item(): Promise<number>; dispose(): void };
      dispose(): void;
    }
    // The programs' own copy of the library, in this thread.
    process.env['SPHERENET_COMPILED'] = compiled.folder;
    process.env['SPHERENET_BINDING'] ??= compiled.env['SPHERENET_BINDING'] as string;
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- a program in plain JavaScript
    const { createNet } = require('../support/programs/train_steps.js') as { createNet(seed: number): Net };
    const train = async (seed: number, pause: number): Promise<number[]> => {
      const net = createNet(seed);
      const values: number[] = [];
      for (let i = 0; i < 8; ++i) {
        random.seed(i);
        const loss = net.step();
        values.push(await loss.item());
        loss.dispose();
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
      net.dispose();
      return values;
    };
    const [a, b] = [await train(1, 0), await train(2, 0)];
    const together = await Promise.all([train(1, 1), train(2, 2)]);
    // Dropout draws from the generator that both share, so only the first losses must agree to the bit.
    expect(together.map((values) => values[0])).toEqual([a[0], b[0]]);
    expect(together.every((values) => values.every(Number.isFinite))).toBe(true);
  });
});
