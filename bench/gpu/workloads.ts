// What is timed, on the device under test: single layers, a layer with what follows it, and a whole training step.
import { device, Generator, models } from 'spherenet';
import { layerSets, LayerWork } from '#bench/layer_work';
import type { Layer } from '#bench/layers';
import { StepWork } from '#bench/step_work';
import { ROTATION } from './measure';
import { SMALL, TARGET } from './target';
import type { Variant } from './target';

/** A convolution of the layer table, with inputs, gradients and results rotated past the L2. */
export function makeLayerWork(layer: Layer, { dtype, parameters }: Variant): LayerWork {
  return new LayerWork(layer, { device: TARGET, dtype, parameters }, sets(layer, dtype));
}

function sets(layer: Layer, dtype: Variant['dtype']): number {
  // A profiler empties the caches itself.
  if (process.env['SPHERENET_GPU_BENCH_ONCE'] === '1') return 1;
  return SMALL ? 2 : layerSets(layer, dtype, ROTATION);
}

/** A training step of the paper's CNN-9. */
export function makeStepWork(angular: boolean, batch: number, { dtype }: Variant): StepWork {
  const small = { widths: [8, 8, 16], features: 16, inputShape: [8, 8, 3] } as const;
  const before = device.current();
  device.use(TARGET);
  try {
    const model = models.sphereCnn({
      ...{ depth: 9, operator: angular ? 'sigmoid' : 'none', ...(angular && { k: 0.3 }) },
      ...{ generator: new Generator(1), ...(SMALL && small) },
    });
    const shape = SMALL ? small.inputShape : ([32, 32, 3] as const);
    return new StepWork(model, { device: TARGET, batch, shape, classes: 10, dtype });
  } finally {
    device.use(before);
  }
}
