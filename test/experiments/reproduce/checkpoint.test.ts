import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataShelf } from '../../../ts/experiments/reproduce';
import { Checkpoint } from '../../../ts/experiments/reproduce/checkpoint';
import type { ClassifierConfig } from '../../../ts/experiments/reproduce/config';
import type { ClassifierOutcome } from '../../../ts/experiments/reproduce/outcome';
import { runClassifier } from '../../../ts/experiments/reproduce/run_classifier';
import { tinyConfig, writeTinyCifar10 } from './tiny';

describe('a training that is interrupted', () => {
  let folder: string;
  let path: string;
  let shelf: DataShelf;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'spherenet-checkpoint-'));
    path = join(folder, 'run.checkpoint');
    await writeTinyCifar10(join(folder, 'cifar10'));
    shelf = await DataShelf.open({ cifar10: join(folder, 'cifar10') });
  });

  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  const silent = (): void => undefined;

  async function whole(config: ClassifierConfig): Promise<ClassifierOutcome> {
    return runClassifier(config, await shelf.images(config), { log: silent });
  }

  /** Trains, and is interrupted when its n-th checkpoint has been written. */
  async function interrupted(config: ClassifierConfig, count: number): Promise<void> {
    const controller = new AbortController();
    const checkpoint = new Checkpoint(path, 0);
    const offer = checkpoint.offer.bind(checkpoint);
    let written = 0;
    checkpoint.offer = async (state) => {
      await offer(state);
      if (++written === count) controller.abort();
    };
    const context = { log: silent, checkpoint, signal: controller.signal };
    await expect(runClassifier(config, await shelf.images(config), context)).rejects.toThrow('aborted');
    expect(await readdir(folder)).toContain('run.checkpoint');
  }

  async function resumed(
    config: ClassifierConfig,
    log: (line: string) => void = silent,
  ): Promise<ClassifierOutcome> {
    return runClassifier(config, await shelf.images(config), { log, checkpoint: new Checkpoint(path, 0) });
  }

  const numbers = ({ seconds: _, ...outcome }: ClassifierOutcome): unknown => outcome;

  const annealed = { loss: 'angular', operator: 'cosine', margin: 2, annealing: {} } as const;
  const momentum = { name: 'sgd', lr: 0.05, momentum: 0.9, weightDecay: 1e-3 } as const;

  it.each([
    ['Adam, half a cosine', tinyConfig(1, {}, { length: { epochs: 4 }, augment: 'cropFlip' })],
    [
      'momentum, milestones, an annealed margin, a number of steps',
      tinyConfig(
        2,
        { head: annealed, operator: 'sigmoid', k: 'perFilter' },
        {
          optimizer: momentum,
          schedule: { milestones: [6, 12] },
          warmup: 3,
          length: { steps: 17 },
          orthogonality: 1e-3,
        },
      ),
    ],
  ])('goes on to the same numbers: %s', async (_, config) => {
    const expected = numbers(await whole(config));
    await interrupted(config, 2);
    const lines: string[] = [];
    expect(numbers(await resumed(config, (line) => lines.push(line)))).toEqual(expected);
    expect(lines).toEqual(['      goes on after epoch 2, which is stored']);
  });

  it('counts steps from the start where it diverges later', async () => {
    const at = (lr: number): ClassifierConfig =>
      tinyConfig(
        1,
        { operator: 'none' },
        { optimizer: { name: 'sgd', lr, momentum: 0, weightDecay: 0 }, length: { epochs: 9 } },
      );
    await interrupted(at(1e-3), 1);
    const { divergedAtStep, steps, curve, final } = await resumed(at(1e38));
    expect(divergedAtStep).toBeGreaterThan(5);
    expect([steps, final]).toEqual([(divergedAtStep as number) - 1, null]);
    expect(curve.map(({ epoch }) => epoch)).toEqual([...Array(curve.length).keys()].map((i) => i + 1));
  });

  it('is saved no more often than asked', async () => {
    const checkpoint = new Checkpoint(path, 3600);
    const config = tinyConfig(1);
    await runClassifier(config, await shelf.images(config), { log: silent, checkpoint });
    expect(await checkpoint.read()).toBeNull();
  });

  it('names a file that is none, is cut off, or belongs to another network', async () => {
    const config = tinyConfig(1, {}, { length: { epochs: 3 } });
    await interrupted(config, 1);
    const refused = `${path}: expected the checkpoint of this run, got something else; delete the file to begin the run again`;
    await expect(resumed(tinyConfig(1, { operator: 'none', norm: 'none' }))).rejects.toThrow(refused);
    const bytes = await readFile(path);
    await writeFile(path, bytes.subarray(0, bytes.length - 100));
    await expect(resumed(config)).rejects.toThrow(refused);
    await writeFile(path, 'something');
    await expect(resumed(config)).rejects.toThrow(refused);
  });
});
