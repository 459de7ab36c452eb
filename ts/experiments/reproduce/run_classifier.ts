import { scope } from '../../core/scope';
import { firstOfEachClass, loader } from '../../data';
import type { Augmentation, ImageDataset, TrainTest } from '../../data';
import type { Classifier } from '../../models';
import { orthogonality, sphereKernels, total } from '../../losses';
import { roleOf } from '../../nn';
import { effectiveCurvature } from '../../nn/curvature';
import * as optim from '../../optim';
import { evaluate, Trainer, TrainingDiverged } from '../../train';
import type { EpochRecord, TrainerOptions, TrainingHistory } from '../../train';
import { percent } from '../report/words';
import { buildModel } from './build_model';
import type { ClassifierConfig, TrainingConfig } from './config';
import type { ClassifierOutcome, CurvePoint, LearntCurvatures } from './outcome';

/** Does not change results: images per pass when testing. */
const TEST_BATCH = 250;
/** A long run says how it is getting on, but not more often than this. */
const SECONDS_BETWEEN_LINES = 30;

const AUGMENTATIONS: Readonly<Record<TrainingConfig['augment'], Augmentation | undefined>> = {
  none: undefined,
  flip: { padding: 0, flip: true },
  cropFlip: { padding: 4, flip: true },
};

export interface RunContext {
  signal?: AbortSignal | undefined;
  log: (line: string) => void;
}

/**
 * Trains one network as its configuration says, on the current device, and tests it after the last step. A training
 * that diverges is a result too.
 *
 * @throws the signal's reason when it is aborted
 */
export async function runClassifier(
  config: ClassifierConfig,
  { train, test }: TrainTest,
  { signal, log }: RunContext,
): Promise<ClassifierOutcome> {
  const { training, seed } = config;
  const { curvePerClass } = config.data;
  const started = performance.now();
  const curveImages = curvePerClass === 'all' ? test : firstOfEachClass(test, curvePerClass);
  const model = buildModel(config.model, train, seed);
  const optimizer = createOptimizer(training, model);
  try {
    const { history, divergedAtStep } = await fit(
      { config, model, optimizer, train, test: curveImages },
      logger(log),
      signal,
    );
    signal?.throwIfAborted();
    const finished = divergedAtStep === null;
    const tested = finished
      ? await evaluate(model, loader(test, { batchSize: TEST_BATCH }), { signal })
      : null;
    return {
      kind: 'classifier',
      divergedAtStep,
      curve: history.epochs.map(toPoint),
      final: tested && { loss: tested.loss, accuracy: tested.accuracy },
      steps: history.steps.length,
      parameters: model.parameterCount,
      trainImages: train.length,
      testImages: test.length,
      curvatures: finished ? await readCurvatures(model) : [],
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    optimizer.dispose();
    model.dispose();
  }
}

interface Parts {
  config: ClassifierConfig;
  model: Classifier;
  optimizer: optim.Optimizer;
  train: ImageDataset;
  test: ImageDataset;
}

async function fit(
  { config, model, optimizer, train, test }: Parts,
  onEpoch: (record: EpochRecord) => void,
  signal: AbortSignal | undefined,
): Promise<{ history: TrainingHistory; divergedAtStep: number | null }> {
  const { batchSize, augment, length } = config.training;
  const batches = loader(train, {
    batchSize,
    shuffle: true,
    seed: config.seed,
    augment: AUGMENTATIONS[augment],
    // A rest of one or two images would give batch norm statistics of nothing.
    dropLast: train.length > batchSize,
  });
  const steps = 'steps' in length ? length.steps : length.epochs * batches.length;
  const schedule = new optim.Schedule(optimizer, learningRates(config.training, steps));
  const trainer = new Trainer({
    ...{ model, optimizer, schedule, steps, onEpoch, signal },
    regularizer: regularizer(config.training),
    train: batches,
    evaluate: loader(test, { batchSize: TEST_BATCH }),
    progress: false,
  });
  try {
    return { history: await trainer.run(), divergedAtStep: null };
  } catch (error) {
    if (!(error instanceof TrainingDiverged)) throw error;
    return { history: error.history, divergedAtStep: error.step };
  }
}

function createOptimizer({ optimizer }: TrainingConfig, model: Classifier): optim.Optimizer {
  const { name, ...options } = optimizer;
  return name === 'adam'
    ? new optim.Adam(model.parameters(), options)
    : new optim.SGD(model.parameters(), options);
}

function regularizer({ orthogonality: coefficient = 0 }: TrainingConfig): TrainerOptions['regularizer'] {
  if (coefficient === 0) return undefined;
  return (model) =>
    total(
      sphereKernels(model).map((weight) => orthogonality(weight)),
      coefficient,
    );
}

function learningRates({ schedule, warmup }: TrainingConfig, steps: number): optim.Factor {
  const factor = schedule === 'cosine' ? optim.cosine({ total: steps }) : optim.stepDecay(schedule);
  return warmup === undefined ? factor : optim.warmup(warmup, factor);
}

function toPoint({ epoch, trainLoss, trainAccuracy, evalLoss, evalAccuracy }: EpochRecord): CurvePoint {
  return {
    epoch,
    trainLoss,
    trainAccuracy,
    testLoss: evalLoss as number,
    testAccuracy: evalAccuracy as number,
  };
}

async function readCurvatures(model: Classifier): Promise<LearntCurvatures[]> {
  const raw = [...model.namedParameters()].filter(([, tensor]) => roleOf(tensor) === 'curvature');
  return Promise.all(
    raw.map(async ([path, tensor]) => {
      const effective = scope(() => effectiveCurvature(tensor));
      try {
        const values = [...(await effective.data())].map((value) => Number(value.toPrecision(5)));
        return { layer: path.slice(0, path.lastIndexOf('.')), values };
      } finally {
        effective.dispose();
      }
    }),
  );
}

function logger(log: (line: string) => void): (record: EpochRecord) => void {
  let last = performance.now();
  return ({ epoch, trainLoss, evalAccuracy }) => {
    if (performance.now() - last < 1000 * SECONDS_BETWEEN_LINES) return;
    last = performance.now();
    log(
      `      epoch ${epoch}, training loss ${trainLoss.toFixed(3)}, test ${percent(evalAccuracy as number)}`,
    );
  };
}
