import { featurePlane } from '../feature_plane';
import type { FeaturePlane } from '../results';
import type { FeaturePlaneConfig, RunConfig } from './config';
import { descend } from './descent';
import type { DataShelf } from './load_data';
import type { FeaturePlaneOutcome, Outcome } from './outcome';
import { runClassifier } from './run_classifier';
import type { RunContext } from './run_classifier';
import { spectrum } from './theory';

/**
 * Does what a run's configuration says, on the current device.
 *
 * @throws the signal's reason when it is aborted
 */
export async function execute(config: RunConfig, shelf: DataShelf, context: RunContext): Promise<Outcome> {
  const started = performance.now();
  const seconds = (): number => (performance.now() - started) / 1000;
  switch (config.kind) {
    case 'classifier':
      return runClassifier(config, await shelf.images(config), context);
    case 'featurePlane':
      return runFeaturePlane(config, shelf, context);
    case 'spectrum':
      return { kind: 'spectrum', ...spectrum(config), seconds: seconds() };
    case 'descent':
      return { kind: 'descent', ...descend(config), seconds: seconds() };
  }
}

async function runFeaturePlane(
  config: FeaturePlaneConfig,
  shelf: DataShelf,
  { signal }: RunContext,
): Promise<FeaturePlaneOutcome> {
  const data = await shelf.fashionMnist();
  const started = performance.now();
  const { epochs, batchSize, seed, network } = config;
  const plane = await featurePlane(network, data, { epochs, batchSize, seed, progress: false, signal });
  return { kind: 'featurePlane', plane, ...spreads(plane), seconds: (performance.now() - started) / 1000 };
}

/** How the features of a class scatter: along their direction, and around it. */
export function spreads({
  x,
  y,
  labels,
}: FeaturePlane): Pick<FeaturePlaneOutcome, 'lengthSpread' | 'angleSpread'> {
  const classes = [...new Set(labels)];
  let lengthSpread = 0;
  let angles = 0;
  for (const label of classes) {
    const own = labels.flatMap((other, i) => (other === label ? [[x[i] as number, y[i] as number]] : []));
    const lengths = own.map(([a, b]) => Math.hypot(a as number, b as number));
    const mean = lengths.reduce((sum, length) => sum + length, 0) / own.length;
    const variance = lengths.reduce((sum, length) => sum + (length - mean) ** 2, 0) / own.length;
    lengthSpread += Math.sqrt(variance) / mean / classes.length;
    const units = own.map(([a, b], i) => [a as number, b as number].map((v) => v / (lengths[i] || 1)));
    const [towardsX, towardsY] = [0, 1].map((axis) =>
      units.reduce((sum, unit) => sum + (unit[axis] as number), 0),
    );
    for (const [a, b] of units as [number, number][]) {
      const [cx, cy] = [towardsX as number, towardsY as number];
      angles += Math.abs(Math.atan2(a * cy - b * cx, a * cx + b * cy));
    }
  }
  return { lengthSpread, angleSpread: ((180 / Math.PI) * angles) / labels.length };
}
