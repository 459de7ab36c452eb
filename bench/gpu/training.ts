// The stage `training`: the network of `spherenet train` on the GPU to its accuracy, and the first steps of the same
// training on both devices.
import { join } from 'node:path';
import { data, device, Generator, models, optim, scope } from 'spherenet';
import type { DeviceName } from 'spherenet';
import type * as experiments from '../../dist/experiments/fashion_mnist';
import { secondsLeft, StageFile } from './session';
import type { Session } from './session';
import { SMALL, TARGET, usePrecision } from './target';
import type { Variant } from './target';

/** Of the 2,500 test images after the default training. The CPU reaches 89.7 %; one in a hundred is a matter of rounding. */
export const EXPECTED_ACCURACY = 0.88;

/** Steps whose losses are compared; rounding errors grow with every step, so the bound holds for these only. */
const CURVE_STEPS = 20;
export const CURVE_TOLERANCES = { float32: 5e-3, tf32: 3e-2 } as const;

export interface Curve {
  cpu: number[];
  device: number[];
  /** Largest |device − cpu| / cpu. */
  worst: number;
}

export interface TrainingData {
  curves: Partial<Record<Variant['precision'], Curve>>;
  accuracy: number | null;
  expectedAccuracy: number;
  epochs: number;
  trainingSeconds: number | null;
  losses: number[];
}

async function lossCurve(where: DeviceName): Promise<number[]> {
  const before = device.current();
  device.use(where);
  const { train } = await data.fashionMnist();
  const model = models.sphereCnn({
    ...{ depth: 3, widths: [32, 64, 96], features: 128, operator: 'sigmoid', k: 0.3 },
    ...{ inputShape: [28, 28, 1], head: { operator: 'linear', margin: 2 }, generator: new Generator(1) },
  });
  const optimizer = new optim.Adam(model.parameters(), { lr: 2e-3 });
  const losses: number[] = [];
  try {
    for (const { images, labels } of data.loader(train, {
      batchSize: SMALL ? 4 : 64,
      shuffle: true,
      seed: 1,
    })) {
      const loss = scope(() => {
        const value = model.loss(images, labels);
        value.backward();
        optimizer.step();
        return value;
      });
      losses.push(loss.itemSync());
      loss.dispose();
      if (losses.length >= (SMALL ? 3 : CURVE_STEPS)) break;
    }
    return losses;
  } finally {
    optimizer.dispose();
    model.dispose();
    device.use(before);
  }
}

async function curve(precision: Variant['precision']): Promise<Curve> {
  usePrecision(precision);
  const [cpu, target] = [await lossCurve('cpu'), await lossCurve(TARGET)];
  const errors = cpu.map((loss, i) => Math.abs((target[i] ?? NaN) - loss) / loss);
  return { cpu, device: target, worst: errors.some(Number.isNaN) ? Infinity : Math.max(...errors) };
}

export async function training(session: Session): Promise<number> {
  const file = new StageFile<TrainingData>(session, {
    ...{ curves: {}, accuracy: null, expectedAccuracy: EXPECTED_ACCURACY, epochs: 0 },
    ...{ trainingSeconds: null, losses: [] },
  });
  const results = file.data;
  for (const precision of ['float32', 'tf32'] as const) {
    if (results.curves[precision]) continue;
    results.curves[precision] = await curve(precision);
    file.save();
    console.log(
      `  losses in ${precision}: at most ${results.curves[precision].worst.toExponential(1)} from the CPU's`,
    );
  }
  if (results.accuracy === null && secondsLeft(session) > 0) await train(session, file);
  file.finish(results.accuracy !== null);
  return 0;
}

/** The experiment of `spherenet train`, which is no part of the library's public surface. */
async function train(session: Session, file: StageFile<TrainingData>): Promise<void> {
  const results = file.data;
  const module = join(__dirname, '..', '..', 'experiments', 'fashion_mnist.js');
  const { runFashionMnist } = (await import(module)) as typeof experiments;
  usePrecision('tf32');
  device.use(TARGET);
  const late = AbortSignal.timeout(Math.max(secondsLeft(session), 1) * 1000);
  const small = { epochs: 1, planeEpochs: 1, trainLimit: 64, widths: [4, 4, 4], features: 8 } as const;
  try {
    const { results: found } = await runFashionMnist({
      ...{ command: 'bench/gpu/run.sh', version: '', withoutCuda: '', progress: false, signal: late },
      ...{ log: () => undefined, planeEpochs: 1, ...(SMALL && small) },
    });
    results.accuracy = found.test.accuracy;
    results.epochs = found.settings.epochs;
    results.trainingSeconds = found.seconds.training;
    results.losses = found.history.epochs.map(({ trainLoss }) => trainLoss);
    console.log(`  ${(100 * found.test.accuracy).toFixed(1)} % in ${found.seconds.training.toFixed(1)} s`);
  } catch (error) {
    if (!late.aborted) throw error;
    file.note('the training did not end in its time');
  }
}
