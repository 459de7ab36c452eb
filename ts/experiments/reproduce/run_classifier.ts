import { scope } from '../../core/scope';
import type { Classifier } from '../../models';
import { orthogonality, total as sum } from '../../losses';
import { roleOf, sphereKernels } from '../../nn';
import { effectiveCurvature } from '../../nn/curvature';
import * as optim from '../../optim';
import { evaluate, Trainer, TrainingDiverged } from '../../train';
import type { EpochRecord, TrainerOptions } from '../../train';
import { percent } from '../report/words';
import { buildModel } from './build_model';
import type { Checkpoint, TrainingState } from './checkpoint';
import type { ClassifierConfig, TrainingConfig } from './config';
import type { ClassifierOutcome, CurvePoint, LearntCurvatures } from './outcome';
import type { RunImages } from './run_images';

/** A long run says how it is getting on, but not more often than this. */
const SECONDS_BETWEEN_LINES = 30;

export interface RunContext {
  signal?: AbortSignal | undefined;
  log: (line: string) => void;
  /** Where the training is saved and taken up again; it is neither by default. */
  checkpoint?: Checkpoint | undefined;
}

/**
 * Trains one network as its configuration says, on the current device, and tests it after the last step. A training
 * that diverges is a result too.
 *
 * @throws the signal's reason when it is aborted
 */
export async function runClassifier(
  config: ClassifierConfig,
  images: RunImages,
  { signal, log, checkpoint }: RunContext,
): Promise<ClassifierOutcome> {
  const { training, seed } = config;
  const model = buildModel(config.model, images, seed);
  const optimizer = createOptimizer(training, model);
  try {
    const saved = (await checkpoint?.read()) ?? null;
    const parts = { config, model, optimizer, images, saved, checkpoint };
    if (saved !== null) log(`      goes on after epoch ${saved.curve.length}, which is stored`);
    const started = performance.now() - 1000 * (saved?.seconds ?? 0);
    const { curve, steps, divergedAtStep } = await fit(parts, started, logger(log), signal);
    const finished = divergedAtStep === null;
    const tested = finished ? await evaluate(model, images.test, { signal }) : null;
    return {
      kind: 'classifier',
      divergedAtStep,
      curve,
      final: tested && { loss: tested.loss, accuracy: tested.accuracy },
      steps,
      parameters: model.parameterCount,
      trainImages: images.trainImages,
      testImages: images.testImages,
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
  images: RunImages;
  saved: TrainingState | null;
  checkpoint: Checkpoint | undefined;
}

/** Trains epoch by epoch, so that what a checkpoint holds is the whole state. */
async function fit(
  { config, model, optimizer, images, saved, checkpoint }: Parts,
  started: number,
  onEpoch: (point: CurvePoint) => void,
  signal: AbortSignal | undefined,
): Promise<Pick<ClassifierOutcome, 'curve' | 'steps' | 'divergedAtStep'>> {
  const { train } = images;
  const { length } = config.training;
  const total = 'steps' in length ? length.steps : length.epochs * train.length;
  const schedule = new optim.Schedule(optimizer, learningRates(config.training, total));
  const curve = [...(saved?.curve ?? [])];
  let steps = saved?.steps ?? 0;
  if (saved !== null) {
    load(saved, model, optimizer, checkpoint);
    schedule.steps = steps;
    train.epoch = curve.length;
  }
  while (steps < total) {
    const trainer = new Trainer({
      ...{ model, optimizer, schedule, train, signal },
      steps: Math.min(train.length, total - steps),
      regularizer: regularizer(config.training),
      evaluate: images.curve,
      progress: false,
    });
    try {
      const { epochs, steps: records } = await trainer.run();
      signal?.throwIfAborted();
      steps += records.length;
      const point = toPoint(epochs[0] as EpochRecord, curve.length + 1);
      curve.push(point);
      onEpoch(point);
    } catch (error) {
      if (!(error instanceof TrainingDiverged)) throw error;
      return { curve, steps: steps + error.history.steps.length, divergedAtStep: steps + error.step };
    }
    if (steps === total) break;
    await checkpoint?.offer(async () => ({
      ...{ steps, curve, seconds: (performance.now() - started) / 1000 },
      model: await model.stateDict(),
      optimizer: await optimizer.stateDict(),
    }));
  }
  return { curve, steps, divergedAtStep: null };
}

function load(
  saved: TrainingState,
  model: Classifier,
  optimizer: optim.Optimizer,
  checkpoint: Checkpoint | undefined,
): void {
  try {
    model.loadStateDict(saved.model);
    optimizer.loadStateDict(saved.optimizer);
  } catch (error) {
    if (checkpoint === undefined) throw error;
    checkpoint.reject(error);
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
    sum(
      sphereKernels(model).map((weight) => orthogonality(weight)),
      coefficient,
    );
}

function learningRates({ schedule, warmup }: TrainingConfig, steps: number): optim.Factor {
  const factor = schedule === 'cosine' ? optim.cosine({ total: steps }) : optim.stepDecay(schedule);
  return warmup === undefined ? factor : optim.warmup(warmup, factor);
}

function toPoint(record: EpochRecord, epoch: number): CurvePoint {
  const { trainLoss, trainAccuracy, evalLoss, evalAccuracy } = record;
  return {
    ...{ epoch, trainLoss, trainAccuracy },
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

function logger(log: (line: string) => void): (point: CurvePoint) => void {
  let last = performance.now();
  return ({ epoch, trainLoss, testAccuracy }) => {
    if (performance.now() - last < 1000 * SECONDS_BETWEEN_LINES) return;
    last = performance.now();
    log(`      epoch ${epoch}, training loss ${trainLoss.toFixed(3)}, test ${percent(testAccuracy)}`);
  };
}
