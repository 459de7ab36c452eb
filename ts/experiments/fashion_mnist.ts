import { Generator } from '../core/random';
import { fashionMnist, loader, pick } from '../data';
import type { ImageDataset, TrainTest } from '../data';
import { sphereCnn } from '../models';
import type { SphereCnn } from '../models';
import * as optim from '../optim';
import { evaluate, Trainer } from '../train';
import type { TrainingHistory } from '../train';
import { featurePlane } from './feature_plane';
import { thisMachine } from './machine';
import { readRows, topProbabilities } from './readout';
import { count, duration, listing, percent } from './report/words';
import type { FashionMnistResults, FeaturePlane, Mistake } from './results';
import { DEFAULT_SETTINGS } from './settings';
import type { ExperimentSettings } from './settings';

/** How many of the most confident mistakes are kept. */
const MISTAKES = 24;
const TEST_BATCH = 250;

export interface FashionMnistOptions extends Partial<ExperimentSettings> {
  /** Folder with the four IDX files; the images that come with this package by default. */
  folder?: string | undefined;
  /** Takes only this many training images, the first ones; all by default. */
  trainLimit?: number | undefined;
  /** For the report: what does the same again, and by which version. */
  command: string;
  version: string;
  /** Where lines for a reader go. */
  log: (line: string) => void;
  /** Shows the trainings on standard output. */
  progress: boolean;
  /** Why CUDA is not used, for the report; empty where it is. */
  withoutCuda: string;
  signal?: AbortSignal | undefined;
}

/**
 * Trains a SphereNet on Fashion-MNIST and tests it, then two networks with two features each for the paper's picture.
 * Runs on the current device.
 *
 * @returns what was found out, and the test images that it speaks of
 * @throws the signal's reason when it is aborted
 */
export async function runFashionMnist(
  options: FashionMnistOptions,
): Promise<{ results: FashionMnistResults; test: ImageDataset }> {
  const { folder, trainLimit, command, version, log, withoutCuda, signal, progress, ...chosen } = options;
  const settings: ExperimentSettings = { ...DEFAULT_SETTINGS, ...chosen };
  const started = performance.now();
  const clock = stopwatch();

  const data = await load(folder, trainLimit);
  signal?.throwIfAborted();
  const { train, test } = data;
  log(
    `data     ${count(train.length)} training and ${count(test.length)} test images from ${whence(folder)}`,
  );
  const dataSeconds = clock();

  const model = buildModel(settings, train);
  try {
    log(`network  ${describeModel(settings)}; ${count(model.parameterCount)} parameters\n`);
    const history = await trainModel(model, data, settings, progress, signal);
    const trainingSeconds = clock();

    const tests = loader(test, { batchSize: TEST_BATCH });
    const { loss, accuracy, confusion, predictions } = await evaluate(model, tests, { signal });
    const scores = await readRows(model, tests, (images) => model.forward(images), signal);
    const mistakes = findMistakes(test, predictions, topProbabilities(scores, test.classes.length));
    const evaluationSeconds = clock();
    log(
      `\ntest     ${percent(accuracy)} of ${count(test.length)} images are named correctly, loss ${loss.toFixed(3)}`,
    );
    log(`time     ${duration(trainingSeconds)} for training\n`);

    const featurePlanes = await trainPlanes(data, settings, progress, log, signal);
    const planeSeconds = clock();
    const results: FashionMnistResults = {
      created: new Date().toISOString(),
      version,
      command,
      machine: thisMachine(withoutCuda),
      data: {
        folder: folder ?? null,
        trainImages: train.length,
        testImages: test.length,
        classes: train.classes,
      },
      settings,
      parameters: model.parameterCount,
      history,
      test: { loss, accuracy, confusion },
      mistakes,
      featurePlanes,
      seconds: {
        data: dataSeconds,
        training: trainingSeconds,
        evaluation: evaluationSeconds,
        featurePlanes: planeSeconds,
        total: (performance.now() - started) / 1000,
      },
    };
    return { results, test };
  } finally {
    model.dispose();
  }
}

async function load(folder: string | undefined, trainLimit = Infinity): Promise<TrainTest> {
  const data = await fashionMnist(folder);
  if (data.train.length <= trainLimit) return data;
  return {
    ...data,
    train: pick(
      data.train,
      Array.from({ length: trainLimit }, (_, i) => i),
    ),
  };
}

function whence(folder: string | undefined): string {
  return folder ?? 'the part of Fashion-MNIST that comes with this package';
}

function describeModel({ depth, operator, k, widths, margin }: ExperimentSettings): string {
  const angle = operator === 'sigmoid' ? `sigmoid, k ${k}` : operator;
  const loss = margin === 1 ? 'W-Softmax' : `GA-Softmax with margin ${margin}`;
  return `${depth} SphereConv layers (${angle}) with ${listing(widths.map(String))} channels, ${loss}`;
}

function buildModel(settings: ExperimentSettings, { shape, classes }: ImageDataset): SphereCnn {
  const { depth, widths, features, operator, k, margin, seed } = settings;
  return sphereCnn({
    depth,
    widths,
    features,
    operator,
    k: operator === 'sigmoid' ? k : undefined,
    inputShape: shape,
    classes: classes.length,
    // With a margin the linear angle is the paper's choice: cosine and sigmoid have no gradient at some angles.
    head: { operator: margin === 1 ? 'cosine' : 'linear', margin },
    generator: new Generator(seed),
  });
}

async function trainModel(
  model: SphereCnn,
  { train, test }: TrainTest,
  { epochs, batchSize, learningRate, seed }: ExperimentSettings,
  progress: boolean,
  signal: AbortSignal | undefined,
): Promise<TrainingHistory> {
  const batches = loader(train, { batchSize, shuffle: true, seed });
  const tests = loader(test, { batchSize: TEST_BATCH });
  const optimizer = new optim.Adam(model.parameters(), { lr: learningRate });
  const schedule = new optim.Schedule(optimizer, optim.cosine({ total: epochs * batches.length }));
  try {
    const trainer = new Trainer({
      ...{ model, optimizer, schedule, epochs, progress, signal },
      train: batches,
      evaluate: tests,
    });
    const history = await trainer.run();
    signal?.throwIfAborted();
    return history;
  } finally {
    optimizer.dispose();
  }
}

async function trainPlanes(
  data: TrainTest,
  { planeEpochs, batchSize, seed }: ExperimentSettings,
  progress: boolean,
  log: (line: string) => void,
  signal: AbortSignal | undefined,
): Promise<FeaturePlane[]> {
  log("two networks with two features each, for the paper's picture");
  const planes: FeaturePlane[] = [];
  for (const kind of ['plain', 'sphere'] as const) {
    log(kind === 'plain' ? 'a plain CNN' : 'a SphereNet');
    planes.push(await featurePlane(kind, data, { epochs: planeEpochs, batchSize, seed, progress, signal }));
  }
  return planes;
}

function findMistakes(
  { labels }: ImageDataset,
  predictions: Int32Array,
  confidences: readonly number[],
): Mistake[] {
  const all = [...predictions].flatMap((prediction, index) => {
    const label = labels[index] as number;
    return prediction === label
      ? []
      : [{ index, label, prediction, confidence: confidences[index] as number }];
  });
  return all.sort((a, b) => b.confidence - a.confidence).slice(0, MISTAKES);
}

/** Seconds since the last call, or since it was made. */
function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const seconds = (now - last) / 1000;
    last = now;
    return seconds;
  };
}
