import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FINAL_ACCURACY } from '../../../ts/experiments/reproduce/classifier_figures';
import type { ClassifierConfig } from '../../../ts/experiments/reproduce/config';
import { crossSeeds } from '../../../ts/experiments/reproduce/experiment';
import type { Experiment } from '../../../ts/experiments/reproduce/experiment';
import { lineFigure } from '../../../ts/experiments/reproduce/figures';
import { Numbers } from '../../support/numbers';

/** Writes a CIFAR-10 of 8 images per class whose brightness tells the class. */
export async function writeTinyCifar10(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const numbers = new Numbers(1);
  const records = (count: number): Uint8Array => {
    const noise = numbers.normals(count * 3072, 1);
    const bytes = new Uint8Array(count * 3073);
    for (let i = 0; i < count; ++i) {
      bytes[i * 3073] = i % 10;
      for (let j = 0; j < 3072; ++j) {
        const value = 20 + 24 * (i % 10) + 4 * (noise[i * 3072 + j] as number);
        bytes[i * 3073 + 1 + j] = Math.max(0, Math.min(255, value));
      }
    }
    return bytes;
  };
  for (const number of [1, 2, 3, 4]) await writeFile(join(folder, `data_batch_${number}.bin`), records(10));
  await writeFile(join(folder, 'data_batch_5.bin'), records(40));
  await writeFile(join(folder, 'test_batch.bin'), records(20));
}

/** A training of a fraction of a second. */
export function tinyConfig(
  seed: number,
  model: Partial<ClassifierConfig['model']> = {},
  training: Partial<ClassifierConfig['training']> = {},
): ClassifierConfig {
  return {
    kind: 'classifier',
    model: {
      architecture: { name: 'plainCnn', depth: 3, widths: [4, 4, 4], features: 8 },
      operator: 'cosine',
      norm: 'batch',
      relu: true,
      head: { loss: 'softmax' },
      ...model,
    },
    training: {
      optimizer: { name: 'adam', lr: 1e-2, weightDecay: 0 },
      schedule: 'cosine',
      length: { epochs: 2 },
      batchSize: 16,
      augment: 'none',
      ...training,
    },
    data: { source: 'cifar10', trainPerClass: 8, testPerClass: 2, curvePerClass: 1 },
    seed,
  };
}

/** Two operators, two seeds, and a row that diverges. */
export const tinyExperiment: Experiment = {
  name: 'tiny',
  title: 'A tiny table',
  question: 'Does the framework work?',
  rowTitle: 'Operator',
  needs: ['cifar10'],
  measures: [FINAL_ACCURACY],
  references: [
    { row: 'Cosine', column: 'Softmax', value: 91.29, provenance: 'logs' },
    { row: 'Cosine', column: 'Softmax', value: 90.89, provenance: 'recalled' },
  ],
  remarks: ['A remark.'],
  plan({ seeds }) {
    const column = 'Softmax';
    const explosive = { optimizer: { name: 'sgd', lr: 1e38, momentum: 0, weightDecay: 0 } } as const;
    const cells = [
      { row: 'Cosine', column, config: (seed: number) => tinyConfig(seed) },
      {
        row: 'Original convolution',
        column,
        config: (seed: number) => tinyConfig(seed, { operator: 'none' }),
      },
      {
        row: 'Explosive',
        column,
        config: (seed: number) => tinyConfig(seed, { operator: 'none' }, explosive),
      },
    ];
    return { runs: crossSeeds(cells, seeds ?? 2), setting: 'Tiny.', leftOut: 'Nothing.' };
  },
  figures: () => ({
    'line.svg': {
      svg: lineFigure([{ name: 'a', lines: [[[0, 1]]] }], { title: 't', x: 'x', y: 'y' }),
      caption: 'A line.',
    },
  }),
};
