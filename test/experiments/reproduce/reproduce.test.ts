import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataShelf, reproduce } from '../../../ts/experiments/reproduce';
import type { ReproduceOptions } from '../../../ts/experiments/reproduce';
import type { RunRecord } from '../../../ts/experiments/reproduce/store';
import { tinyExperiment, writeTinyCifar10 } from './tiny';

describe('reproduce', () => {
  let folder: string;
  let lines: string[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'spherenet-reproduce-'));
    lines = [];
    await writeTinyCifar10(join(folder, 'cifar10'));
  });

  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  const plan = tinyExperiment.plan({ budget: 'quick' });

  async function options(changes: Partial<ReproduceOptions> = {}): Promise<ReproduceOptions> {
    return {
      budget: 'quick',
      out: join(folder, 'out'),
      shelf: await DataShelf.open({ cifar10: join(folder, 'cifar10') }),
      command: 'npx spherenet reproduce tiny',
      version: '1.2.3',
      withoutCuda: 'the CPU was asked for',
      log: (line) => lines.push(line),
      ...changes,
    };
  }

  const runFiles = async (): Promise<string[]> => (await readdir(join(folder, 'out/tiny/runs'))).sort();
  const json = async <T>(name: string): Promise<T> =>
    JSON.parse(await readFile(join(folder, 'out/tiny', name), 'utf8')) as T;

  it('runs every cell with every seed, stores it, and reports means beside references', async () => {
    const written = await reproduce(tinyExperiment, plan, await options());
    expect(written).toMatchObject({ ended: 6, planned: 6 });
    const names = await runFiles();
    expect(names).toHaveLength(6);
    expect(names[0]).toMatch(/^cosine-softmax-seed-1-[0-9a-f]{8}\.json$/);
    const record = await json<RunRecord>(`runs/${names[0]}`);
    expect(record).toMatchObject({
      name: 'Cosine, Softmax, seed 1',
      config: plan.runs[0]?.config,
      data: 'CIFAR-10, the official binary files',
      version: '1.2.3',
      outcome: { kind: 'classifier', divergedAtStep: null, steps: 10, trainImages: 80, testImages: 20 },
    });
    if (record.outcome.kind !== 'classifier') throw new Error('unreachable');
    expect(record.outcome.curve.map(({ epoch }) => epoch)).toEqual([1, 2]);

    const { tables, runs, setting } = await json<{
      tables: {
        cells: { row: string; values: number[]; absent: string[]; spread: { mean: number } | null }[];
      }[];
      runs: RunRecord[];
      setting: string;
    }>('results.json');
    expect(setting).toBe('Tiny.');
    const [cosine, , explosive] = tables[0]?.cells ?? [];
    const finals = runs.filter(({ row }) => row === 'Cosine').map(({ outcome }) => (outcome.kind === 'classifier' ? outcome.final?.accuracy : null)); // prettier-ignore
    expect(cosine?.values).toEqual(finals);
    expect(cosine?.spread?.mean).toBeCloseTo(((finals[0] as number) + (finals[1] as number)) / 2, 12);
    expect(explosive).toMatchObject({ spread: null, values: [], absent: ['diverged', 'diverged'] });

    const report = await readFile(written.markdown, 'utf8');
    expect(report).toContain(
      "| Operator | Here | Reference (authors' logs, single seed) | Reference (recalled, not verified) |",
    );
    expect(report).toMatch(/\| Cosine \| \d+\.\d\d ± \d+\.\d\d \| 91\.29 \| 90\.89 \|/);
    expect(report).toContain('| Explosive | 2 diverged | – | – |');
    expect(report).toMatch(/- Explosive, Softmax, seed 1: the loss became NaN or infinite at step \d+/);
    expect(report).toContain('- images: CIFAR-10, the official binary files');
    expect(report).toContain('![A line.](line.svg)');
    expect((await stat(join(folder, 'out/tiny/line.svg'))).size).toBeGreaterThan(500);
    expect(lines.at(-1)).toMatch(/^6\/6 Explosive, Softmax, seed 2: diverged at step \d+, /);
  });

  it('gives the same numbers for the same seed', async () => {
    const numbers: unknown[] = [];
    for (const out of ['a', 'b']) {
      await reproduce(
        tinyExperiment,
        plan,
        await options({ out: join(folder, out), only: 'cosine, softmax, SEED 2' }),
      );
      const [name] = await readdir(join(folder, out, 'tiny/runs'));
      const text = await readFile(join(folder, out, 'tiny/runs', name as string), 'utf8');
      const { curve, final } = (JSON.parse(text) as { outcome: { curve: unknown; final: unknown } }).outcome;
      numbers.push({ curve, final });
    }
    expect(numbers[1]).toEqual(numbers[0]);
  });

  it('goes on where it was interrupted, and loses the run under way only', async () => {
    const controller = new AbortController();
    const stop = await options({
      signal: controller.signal,
      log: (line) => {
        if (line.startsWith('2/')) controller.abort();
      },
    });
    await expect(reproduce(tinyExperiment, plan, stop)).rejects.toThrow('aborted');
    const ended = await runFiles();
    expect(ended).toHaveLength(2);
    expect(await readdir(join(folder, 'out/tiny'))).toEqual(['runs']);
    const before = await Promise.all(ended.map((name) => json<RunRecord>(`runs/${name}`)));

    await reproduce(tinyExperiment, plan, await options());
    expect(lines[0]).toMatch(/^2 of 6 runs are stored in .*tiny and are not done again$/);
    expect(lines[1]).toMatch(/^1\/4 /);
    expect(await Promise.all(ended.map((name) => json<RunRecord>(`runs/${name}`)))).toEqual(before);
    expect(await runFiles()).toHaveLength(6);
  });

  it('stops within a training', async () => {
    const controller = new AbortController();
    const many = {
      ...plan,
      runs: plan.runs.slice(0, 1).map((run) => ({ ...run, config: { ...run.config } })),
    };
    const config = many.runs[0]?.config as { training: object };
    Object.assign(config, { training: { ...config.training, length: { epochs: 100_000 } } });
    setTimeout(() => controller.abort(), 300);
    await expect(
      reproduce(tinyExperiment, many, await options({ signal: controller.signal })),
    ).rejects.toThrow('aborted');
    expect(await runFiles()).toEqual([]);
  });

  it('does some of the runs and says in the report what has not been run', async () => {
    const written = await reproduce(tinyExperiment, plan, await options({ only: 'cosine, softmax, seed 1' }));
    expect(written).toMatchObject({ ended: 1, planned: 6 });
    const report = await readFile(written.markdown, 'utf8');
    expect(report).toContain('**Not finished: 1 of 6 runs have ended.**');
    expect(report).toMatch(/\| Cosine \| \d+\.\d\d \(1 not run\) \|/);
    await expect(reproduce(tinyExperiment, plan, await options({ only: 'no such' }))).rejects.toThrow(
      "--only no such: no run has this in its name; the first 3 are 'Cosine, Softmax, seed 1', ",
    );
  });

  it('names a stored run that is damaged', async () => {
    await reproduce(tinyExperiment, plan, await options({ only: 'cosine, softmax, seed 1' }));
    const [name] = await runFiles();
    const path = join(folder, 'out/tiny/runs', name as string);
    await writeFile(path, (await readFile(path, 'utf8')).slice(0, 100));
    await expect(reproduce(tinyExperiment, plan, await options())).rejects.toThrow(
      `${path}: expected the result of a run, got something else; delete the file to run it again`,
    );
  });
});
