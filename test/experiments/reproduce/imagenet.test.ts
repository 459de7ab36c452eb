import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataShelf, reproduce, trainingImages } from '../../../ts/experiments/reproduce';
import { imagenetResnet18 } from '../../../ts/experiments/reproduce/catalogue/imagenet_resnet18';
import type { ClassifierConfig } from '../../../ts/experiments/reproduce/config';
import type { Experiment } from '../../../ts/experiments/reproduce/experiment';
import { needsOf } from '../../../ts/experiments/reproduce/experiment';
import { presets } from '../../../ts/train';
import { writePicture } from '../../support/pictures';
import { tinyConfig, tinyExperiment } from './tiny';

const full = imagenetResnet18.plan({ budget: 'full' });
const configs = full.runs.map(({ config }) => config as ClassifierConfig);

describe('imagenet-resnet18 in full', () => {
  it('is the three networks at the paper’s size, with the preset’s training', () => {
    expect(full.runs.slice(0, 3).map(({ row }) => row)).toEqual([
      'ResNet-18',
      'SphereResNet-18 v1',
      'SphereResNet-18 v2',
    ]);
    expect(configs.slice(0, 3).map(({ model }) => model.operator)).toEqual(['none', 'cosine', 'cosine']);
    const preset = presets.imageNet();
    for (const { model, training, data } of configs) {
      expect(model.architecture).toMatchObject({ name: 'resNet18', widths: [64, 128, 256, 512] });
      expect(model.batchNorm).toEqual(preset.batchNorm);
      expect(training).toEqual({
        optimizer: { name: 'sgd', lr: preset.lr, momentum: 0.9, weightDecay: preset.weightDecay },
        schedule: { milestones: preset.milestones },
        length: { steps: preset.steps },
        batchSize: preset.batchSize,
        augment: 'cropFlip',
        orthogonality: preset.orthogonality,
      });
      expect(data).toMatchObject({ source: 'imagenet', size: 224, resize: 256, trainPerClass: 'all' });
    }
    expect(trainingImages(configs[0] as ClassifierConfig)).toBe(550_000 * 256);
  });

  it('needs ImageNet, and quick needs CIFAR-10', () => {
    expect(needsOf(imagenetResnet18, 'full')).toEqual(['imagenet']);
    expect(needsOf(imagenetResnet18, 'quick')).toEqual(['cifar10']);
    expect(needsOf(tinyExperiment, 'full')).toEqual(['cifar10']);
  });
});

describe('ImageNet in folders', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'spherenet-imagenet-'));
  });

  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  const open = (): Promise<DataShelf> => DataShelf.open({ imagenet: folder });

  /** Classes that differ in brightness; more for training than for testing. */
  async function writeTiny(): Promise<void> {
    for (const [part, count] of [
      ['train', 12],
      ['val', 4],
    ] as const) {
      // prettier-ignore
      for (const [name, grey] of [['n01', 30], ['n02', 120], ['n03', 220]] as const) { // prettier-ignore
        for (let i = 0; i < count; ++i) {
          const bytes = Array.from({ length: 40 * 36 * 3 }, () => grey + i);
          await writePicture(join(folder, part, name, `${i}.jpg`), 40, 36, bytes);
        }
      }
    }
  }

  it('are looked into before the first run', async () => {
    for (const name of ['train/n01', 'train/n02', 'val/n01', 'val/n02']) {
      await mkdir(join(folder, name), { recursive: true });
    }
    const shelf = await open();
    expect(configs.map((config) => shelf.describe(config))[0]).toBe('ImageNet from picture files, 2 classes');
    await expect(shelf.images(configs[0] as ClassifierConfig)).rejects.toThrow(
      `${join(folder, 'train/n01')}: expected a folder with at least one`,
    );
    await mkdir(join(folder, 'val/n03'));
    await expect(open()).rejects.toThrow(
      `${join(folder, 'val')}: expected the class folders of ${join(folder, 'train')}, got n03 too`,
    );
    await rm(join(folder, 'val/n01'), { recursive: true });
    await expect(open()).rejects.toThrow('/train, got none for n01');
    await rm(join(folder, 'val'), { recursive: true });
    await expect(open()).rejects.toThrow(
      `${folder}: expected a folder with train/<class>/*.JPEG and val/<class>/*.JPEG, got a folder with train`,
    );
    await expect(DataShelf.open({ imagenet: join(folder, 'no') })).rejects.toThrow('got nothing there');
  });

  it('train and test a network, whose run is interrupted, goes on and leaves no checkpoint', async () => {
    await writeTiny();
    const architecture = { name: 'resNet18', widths: [4, 4, 8, 8], variant: 'v2' } as const;
    const head = { loss: 'softmax', bias: true } as const;
    const config: ClassifierConfig = {
      ...tinyConfig(1, { architecture, head }, { length: { epochs: 4 }, batchSize: 8, augment: 'cropFlip' }),
      data: {
        ...{ source: 'imagenet', size: 32, resize: 36 },
        ...{ trainPerClass: 10, testPerClass: 'all', curvePerClass: 2 },
      },
    };
    const experiment: Experiment = { ...tinyExperiment, needs: ['imagenet'] };
    const plan = { runs: [{ name: 'tiny', row: 'a', column: 'b', config }], setting: 'Tiny.' };
    const run = async (out: string, signal?: AbortSignal, log: (line: string) => void = () => undefined) =>
      reproduce(experiment, plan, {
        ...{
          budget: 'full',
          out: join(folder, out),
          shelf: await open(),
          log,
          secondsBetweenCheckpoints: 0,
          signal,
        },
        ...{ command: '', version: '1', withoutCuda: '' },
      });
    await run('whole');
    const controller = new AbortController();
    const runs = join(folder, 'parts/tiny/runs');
    const watch = setInterval(() => {
      void readdir(runs).then(
        (names) => {
          if (names.some((name) => name.endsWith('.checkpoint'))) controller.abort();
        },
        () => undefined,
      );
    }, 5);
    try {
      await expect(run('parts', controller.signal)).rejects.toThrow('aborted');
    } finally {
      clearInterval(watch);
    }
    expect(await readdir(runs)).toEqual([expect.stringMatching(/^tiny-[0-9a-f]{8}\.checkpoint$/)]);
    const lines: string[] = [];
    await run('parts', undefined, (line) => lines.push(line));
    expect(lines[0]).toMatch(/goes on after epoch [123], which is stored/);
    const outcomes = await Promise.all(
      ['whole', 'parts'].map(async (out) => {
        const [name, ...others] = await readdir(join(folder, out, 'tiny/runs'));
        expect(others).toEqual([]);
        const text = await readFile(join(folder, out, 'tiny/runs', name as string), 'utf8');
        const record = JSON.parse(text) as { outcome: { seconds: number } };
        const { seconds: _, ...outcome } = record.outcome;
        return outcome;
      }),
    );
    expect(outcomes[1]).toEqual(outcomes[0]);
    expect(outcomes[0]).toMatchObject({ trainImages: 30, testImages: 12, steps: 12, divergedAtStep: null });
  });
});
