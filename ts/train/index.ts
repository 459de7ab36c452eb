/** Training loops. */
export type { Batch, BatchSource, ClassificationModel } from './batches';
export { evaluate } from './evaluate';
export type { EvaluateOptions, Evaluation } from './evaluate';
export { TrainingDiverged } from './history';
export type { EpochRecord, StepRecord, TrainingHistory } from './history';
export { argmaxRows, ConfusionMatrix, countCorrect } from './metrics';
export * as presets from './presets';
export type { TrainingPreset } from './presets';
export type { Progress } from './progress';
export { Trainer } from './trainer';
export type { TrainerOptions } from './trainer';
