/** g(θ) that can be chosen. */
export const OPERATORS = ['cosine', 'linear', 'sigmoid', 'squaredCosine'] as const;

/** What can be chosen in the Fashion-MNIST experiment. */
export interface ExperimentSettings {
  epochs: number;
  batchSize: number;
  seed: number;
  operator: (typeof OPERATORS)[number];
  /** Curvature of operator `sigmoid`. */
  k: number | 'learnable';
  margin: number;
  /** Convolutions: a multiple of 3. */
  depth: number;
  widths: readonly [number, number, number];
  features: number;
  learningRate: number;
  /** Epochs of each of the two networks with a feature plane. */
  planeEpochs: number;
}

/** On two cores the whole job then takes about a minute and a half. */
export const DEFAULT_SETTINGS: ExperimentSettings = {
  epochs: 8,
  batchSize: 64,
  seed: 1,
  operator: 'sigmoid',
  k: 0.3,
  margin: 2,
  depth: 3,
  widths: [32, 64, 96],
  features: 128,
  learningRate: 2e-3,
  planeEpochs: 8,
};
