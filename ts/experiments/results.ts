import type { TrainingHistory } from '../train';
import type { ExperimentSettings } from './settings';

/** Everything that a run of the Fashion-MNIST experiment found out: what `results.json` holds and the report shows. */
export interface FashionMnistResults {
  /** When it ended, ISO 8601. */
  created: string;
  /** The version of this package. */
  version: string;
  /** A command line that does the same again. */
  command: string;
  machine: Machine;
  data: DataSource;
  settings: ExperimentSettings;
  /** Numbers that were learnt. */
  parameters: number;
  history: TrainingHistory;
  /** Of the network as it was after the last step, on the test images. */
  test: { loss: number; accuracy: number; confusion: number[][] };
  /** The test images that were named wrongly with the greatest confidence, the greatest first. */
  mistakes: Mistake[];
  /** The plain network, then the SphereNet. */
  featurePlanes: FeaturePlane[];
  seconds: { data: number; training: number; evaluation: number; featurePlanes: number; total: number };
}

export interface Machine {
  device: string;
  /** Vector instructions of the CPU kernels. */
  simd: string;
  threads: number;
  processor: string;
  /** Why CUDA was not used; empty where it was. */
  withoutCuda: string;
  node: string;
  platform: string;
}

export interface DataSource {
  /** The folder that was given, or null for the images that come with this package. */
  folder: string | null;
  trainImages: number;
  testImages: number;
  classes: readonly string[];
}

export interface Mistake {
  /** Place among the test images. */
  index: number;
  label: number;
  prediction: number;
  /** The probability that the network gave its prediction. */
  confidence: number;
}

/** The two features of each test image in a network that has no more. */
export interface FeaturePlane {
  title: string;
  accuracy: number;
  x: number[];
  y: number[];
  labels: number[];
}
