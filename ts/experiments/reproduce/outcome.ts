import type { FeaturePlane } from '../results';

/** What a run found out, by the kind of its configuration. */
export type Outcome = ClassifierOutcome | FeaturePlaneOutcome | SpectrumOutcome | DescentOutcome;

export interface CurvePoint {
  epoch: number;
  /** Mean over the images of the epoch, while the network was changing. */
  trainLoss: number;
  trainAccuracy: number;
  /** After the epoch, on the images of the curve. */
  testLoss: number;
  testAccuracy: number;
}

/** Curvatures that a layer has learnt. */
export interface LearntCurvatures {
  /** Path of the layer in the network. */
  layer: string;
  values: number[];
}

export interface ClassifierOutcome {
  kind: 'classifier';
  /** Where the loss became NaN or infinite; null where the training went to its end. */
  divergedAtStep: number | null;
  curve: CurvePoint[];
  /** After the last step; null where the training diverged. */
  final: { loss: number; accuracy: number } | null;
  steps: number;
  parameters: number;
  trainImages: number;
  testImages: number;
  /** Of layers whose k is learnt. */
  curvatures: LearntCurvatures[];
  seconds: number;
}

export interface FeaturePlaneOutcome {
  kind: 'featurePlane';
  plane: FeaturePlane;
  /** Standard deviation of the lengths of a class over their mean, averaged over classes: long streaks have a large one. */
  lengthSpread: number;
  /** Angle to the mean direction of the class, degrees, averaged over all images. */
  angleSpread: number;
  seconds: number;
}

export interface SpectrumOutcome {
  kind: 'spectrum';
  /** Eigenvalues above 0, descending. */
  eigenvalues: number[];
  /** How many are 0, because the function does not change in their directions. */
  zeros: number;
  /** The largest over the smallest of `eigenvalues`. */
  condition: number;
  seconds: number;
}

export interface DescentOutcome {
  kind: 'descent';
  /** The one of the grid with the least loss at the end. */
  learningRate: number;
  /** [iteration, loss]; iterations 0, 1, 2, … ever further apart. */
  curve: [number, number][];
  /** Loss after the last iteration. */
  final: number;
  /** The first iteration whose loss is at most 10⁻⁶; null where there is none. */
  reached: number | null;
  seconds: number;
}
