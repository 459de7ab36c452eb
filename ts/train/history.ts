import { SphereNetError } from '../core/errors';

/** One optimiser step. */
export interface StepRecord {
  /** Counted from 1 through all epochs. */
  step: number;
  /** The batch's loss before the step, an angular head's margin included; without the Trainer's regulariser. */
  loss: number;
  /** What the Trainer's regulariser came to before the step; only where it has one that is not null. */
  regularization?: number;
  /** Share of the batch that was predicted right, without the margin. */
  accuracy: number;
}

/** One pass through the training data. */
export interface EpochRecord {
  /** Counted from 1. */
  epoch: number;
  /** Means over the images of the epoch, while the network was changing. */
  trainLoss: number;
  trainAccuracy: number;
  /** Of the evaluation after the epoch; null where there is none. */
  evalLoss: number | null;
  evalAccuracy: number | null;
  /** Training only, without the evaluation. */
  imagesPerSecond: number;
  seconds: number;
}

/** What `Trainer.run` returns. */
export interface TrainingHistory {
  steps: StepRecord[];
  epochs: EpochRecord[];
  /** Why it ended before its time: the loss became NaN or infinite, or the signal was aborted. */
  stopped?: 'nan' | 'aborted';
}

/** The loss became NaN or infinite. Parameters are those after the step, or one step later. */
export class TrainingDiverged extends SphereNetError {
  override readonly name = 'TrainingDiverged';

  constructor(
    /** The step, counted from 1, whose loss was not finite. */
    readonly step: number,
    readonly loss: number,
    /** The loss of the step before; null where it was the first. */
    readonly lastFiniteLoss: number | null,
    /** All that was recorded up to the step before. */
    readonly history: TrainingHistory,
  ) {
    const before = lastFiniteLoss === null ? 'it was the first' : `the loss before was ${lastFiniteLoss}`;
    super(
      'SPHERENET_DIVERGED',
      `Trainer: the loss became ${loss} at step ${step}; ${before}. A lower learning rate or a warm-up helps most often`,
    );
  }
}
