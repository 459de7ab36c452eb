import { checkInteger, describe, fail, SphereNetError } from '../core/errors';
import { scope } from '../core/scope';
import { Tensor } from '../core/tensor';
import { add } from '../ops';
import { Optimizer, projectSpheres } from '../optim';
import type { Schedule } from '../optim';
import {
  checkModel,
  checkSource,
  firstOf,
  forwardBatch,
  pipelined,
  readBatch,
  rememberModes,
} from './batches';
import type { Batch, BatchResult, BatchSource, ClassificationModel } from './batches';
import { evaluate } from './evaluate';
import type { Evaluation } from './evaluate';
import { TrainingDiverged } from './history';
import type { EpochRecord, TrainingHistory } from './history';
import { argmaxRows, countCorrect, WeightedMean } from './metrics';
import { createReporter } from './progress';
import type { Progress, Reporter } from './progress';

export interface TrainerOptions {
  model: ClassificationModel;
  optimizer: Optimizer;
  /** Moved on after every step. */
  schedule?: Schedule | undefined;
  /** The training data, gone through once per epoch. */
  train: BatchSource;
  /** Data to evaluate on after every epoch. */
  evaluate?: BatchSource | undefined;
  /** How long to train: passes through the data, or optimiser steps. Exactly one of the two. */
  epochs?: number | undefined;
  steps?: number | undefined;
  /**
   * Changes the images of training batches, for example by {@link ops.randomCropFlip}; runs in the step's scope. A data
   * loader can do that too, see its option of this name.
   */
  augment?: ((images: Tensor) => Tensor) | undefined;
  /**
   * Gives a scalar that is added to the loss for the backward pass, such as {@link losses.orthogonality} of the model's
   * {@link nn.sphereKernels}; null adds nothing. Runs in the step's scope. Losses that are reported stay those of the
   * data; the history's steps have the regulariser's value beside them.
   */
  regularizer?: ((model: ClassificationModel) => Tensor | null) | undefined;
  /** Scales sphere kernels to length 1 after every so many steps ({@link optim.projectSpheres}); never by default. */
  projectEvery?: number | undefined;
  /** Called after every step, when its loss has been read. */
  onProgress?: ((progress: Progress) => void) | undefined;
  /** Called after every epoch and its evaluation. */
  onEpoch?: ((record: EpochRecord) => void) | undefined;
  /** Shows a bar on a terminal and a line per epoch elsewhere; true by default. */
  progress?: boolean | undefined;
  /** Ends the training after the step it is in; what was recorded is returned. */
  signal?: AbortSignal | undefined;
  /** A loss of NaN or infinity rejects with TrainingDiverged (`throw`, the default) or ends the training (`stop`). */
  whenDiverged?: 'throw' | 'stop' | undefined;
}

/**
 * Trains a classifier. Each step runs in a scope of its own; its loss is read one step late, so that JavaScript and
 * the kernels overlap.
 *
 * ```ts
 * const trainer = new Trainer({ model, optimizer, train: data.loader(images, { batchSize: 128, shuffle: true }), epochs: 5 });
 * const history = await trainer.run();
 * ```
 */
export class Trainer {
  private readonly options: TrainerOptions;

  /** @throws SphereNetError naming the option that is wrong */
  constructor(options: TrainerOptions) {
    checkModel('Trainer', options.model);
    if (!(options.optimizer instanceof Optimizer)) {
      fail('Trainer', 'optimizer', 'an optimiser, such as optim.Adam', describe(options.optimizer));
    }
    checkSource('Trainer', 'train', options.train);
    if (options.evaluate !== undefined) checkSource('Trainer', 'evaluate', options.evaluate);
    const { epochs, steps } = options;
    if ((epochs === undefined) === (steps === undefined)) {
      fail('Trainer', 'epochs', 'given or steps, one of the two', epochs === undefined ? 'neither' : 'both');
    }
    if (epochs !== undefined) checkInteger('Trainer', 'epochs', epochs, 1);
    if (steps !== undefined) checkInteger('Trainer', 'steps', steps, 1);
    const { regularizer, projectEvery } = options;
    if (regularizer !== undefined && typeof regularizer !== 'function') {
      fail('Trainer', 'regularizer', 'a function of the model', describe(regularizer));
    }
    if (projectEvery !== undefined) checkInteger('Trainer', 'projectEvery', projectEvery, 1);
    this.options = { ...options };
  }

  /**
   * Trains from where the model is. The model's modes are afterwards as before.
   *
   * @throws TrainingDiverged where the loss becomes NaN or infinite, unless `whenDiverged` is `stop`
   */
  async run(): Promise<TrainingHistory> {
    const { model, progress = true, whenDiverged = 'throw' } = this.options;
    const reporter = createReporter(progress);
    const run = new Run(this.options, reporter);
    const restoreModes = rememberModes(model);
    model.train();
    try {
      await run.all();
    } catch (error) {
      if (!(error instanceof TrainingDiverged) || whenDiverged === 'throw') throw error;
      run.history.stopped = 'nan';
    } finally {
      reporter.stop();
      restoreModes();
    }
    return run.history;
  }
}

/** The state of one `Trainer.run`. */
class Run {
  readonly history: TrainingHistory = { steps: [], epochs: [] };
  private readonly totalSteps: number;
  private readonly totalEpochs: number;
  private trainingSeconds = 0;
  private launched = 0;

  constructor(
    private readonly options: TrainerOptions,
    private readonly reporter: Reporter,
  ) {
    const { epochs, steps, train } = options;
    this.totalSteps = steps ?? (epochs ?? 0) * train.length;
    this.totalEpochs = epochs ?? Math.ceil(this.totalSteps / Math.max(1, train.length));
  }

  private get aborted(): boolean {
    return this.options.signal?.aborted ?? false;
  }

  async all(): Promise<void> {
    const { epochs = Infinity, steps = Infinity } = this.options;
    for (let epoch = 1; epoch <= epochs && this.history.steps.length < steps; ++epoch) {
      if (!this.aborted) await this.epoch(epoch);
      if (this.aborted) {
        this.history.stopped = 'aborted';
        return;
      }
    }
  }

  private async epoch(epoch: number): Promise<void> {
    const { train, signal, onProgress, onEpoch, steps = Infinity } = this.options;
    const { history } = this;
    const loss = new WeightedMean();
    const accuracy = new WeightedMean();
    const start = performance.now();
    const secondsBefore = this.trainingSeconds;
    let progress: Progress | null = null;
    const batches = firstOf(train, steps - history.steps.length, signal);
    for await (const result of pipelined(batches, (batch) => this.launch(batch))) {
      const images = result.labels.length;
      const correct = countCorrect(argmaxRows(result.logits, result.classes), result.labels);
      this.record(result, correct / images);
      loss.add(result.loss, images);
      accuracy.add(correct / images, images);
      const seconds = (performance.now() - start) / 1000;
      this.trainingSeconds = secondsBefore + seconds;
      progress = this.progressAt(epoch, loss, accuracy, seconds);
      this.reporter.step(progress);
      onProgress?.(progress);
    }
    if (progress === null) {
      if (this.aborted) return;
      throw new SphereNetError(
        'SPHERENET_ARGUMENT',
        'Trainer: train must yield at least one batch, got none',
      );
    }
    const seconds = this.trainingSeconds - secondsBefore;
    const tested = await this.evaluate();
    const record: EpochRecord = {
      epoch,
      trainLoss: loss.mean,
      trainAccuracy: accuracy.mean,
      evalLoss: tested?.loss ?? null,
      evalAccuracy: tested?.accuracy ?? null,
      imagesPerSecond: loss.weight / seconds,
      seconds,
    };
    history.epochs.push(record);
    this.reporter.epoch(record, progress);
    onEpoch?.(record);
  }

  /** Submits one step. */
  private launch({ images, labels }: Batch): Promise<BatchResult> {
    const { model, optimizer, schedule, augment, projectEvery = Infinity } = this.options;
    const outcome = scope(() => {
      const { loss, logits } = forwardBatch(model, augment?.(images) ?? images, labels);
      const penalty = this.penalty();
      (penalty === null ? loss : add(loss, penalty)).backward();
      optimizer.step();
      return { loss, logits, penalty };
    });
    schedule?.step();
    if (++this.launched % projectEvery === 0) projectSpheres(model.parameters());
    return readBatch(outcome, labels);
  }

  private penalty(): Tensor | null {
    const { model, regularizer } = this.options;
    const penalty: unknown = regularizer?.(model) ?? null;
    if (penalty === null) return null;
    if (!(penalty instanceof Tensor) || penalty.rank !== 0) {
      fail('Trainer', 'regularizer', 'a function that returns a scalar or null', describe(penalty));
    }
    return penalty;
  }

  private record({ loss, regularization }: BatchResult, accuracy: number): void {
    const { history } = this;
    const step = history.steps.length + 1;
    const whole = loss + (regularization ?? 0);
    if (!Number.isFinite(whole)) {
      throw new TrainingDiverged(step, whole, history.steps.at(-1)?.loss ?? null, history);
    }
    history.steps.push({ step, loss, accuracy, ...(regularization !== null && { regularization }) });
  }

  private progressAt(epoch: number, loss: WeightedMean, accuracy: WeightedMean, seconds: number): Progress {
    const step = this.history.steps.length;
    return {
      step,
      steps: this.totalSteps,
      epoch,
      epochs: this.totalEpochs,
      loss: loss.mean,
      accuracy: accuracy.mean,
      imagesPerSecond: loss.weight / seconds,
      secondsLeft: Math.max(0, this.totalSteps - step) * (this.trainingSeconds / step),
    };
  }

  private async evaluate(): Promise<Evaluation | null> {
    const { model, evaluate: source, signal } = this.options;
    if (source === undefined || this.aborted) return null;
    try {
      return await evaluate(model, source, { signal });
    } catch (error) {
      if (this.aborted) return null;
      throw error;
    }
  }
}
