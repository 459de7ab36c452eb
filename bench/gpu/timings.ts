// The stages `timings` (the layer table, one layer at a time) and `steps` (whole training steps).
import { device, memory } from 'spherenet';
import { elementwiseBandwidth } from '#bench/ceilings';
import { flops } from '#bench/layers';
import type { Layer } from '#bench/layers';
import { GPU_LAYERS, layerWords } from './layers';
import { BATCH_PLAN, timeInBatches } from './measure';
import type { Timing } from './measure';
import { EXIT_RESTART, secondsLeft, StageFile } from './session';
import type { Session } from './session';
import { isAlive, SMALL, TARGET, usePrecision, VARIANTS } from './target';
import type { VariantName } from './target';
import { makeLayerWork, makeStepWork } from './workloads';

export interface LayerTimings {
  layer: string;
  network: string;
  variant: VariantName;
  /** Operations of one pass. */
  flops: number;
  convForward: Timing;
  convBoth: Timing;
  sphereForward: Timing;
  sphereBoth: Timing;
  /** With SphereNorm and ReLU in the same pass, forward. */
  sphereRescaled: Timing;
  /** Without the input's gradient, where the layer is the first of a network; `Apart`: as ops one after the other. */
  convFirst?: Timing;
  sphereFirst?: Timing;
  sphereFirstApart?: Timing;
  /** With batch norm and ReLU behind, forward and backward, where the layer is one of CNN-9's; and with SphereNorm. */
  convBlock?: Timing;
  sphereBlock?: Timing;
  rescaledBlock?: Timing;
}

export interface TimingsData {
  /** By layer and variant. */
  layers: Record<string, LayerTimings>;
  /** Bytes per second of a large elementwise op, read and written. */
  bandwidth: number | null;
}

/** bfloat16 everywhere; the others where that is enough to know them. */
function plan(): [Layer, VariantName][] {
  const all = GPU_LAYERS.map((layer): [Layer, VariantName] => [layer, 'bfloat16']);
  const cnn9 = GPU_LAYERS.filter(({ network }) => network === 'CNN-9' || SMALL);
  return [
    ...all,
    ...cnn9.map((layer): [Layer, VariantName] => [layer, 'tf32']),
    ...cnn9.slice(1, 2).flatMap((layer): [Layer, VariantName][] => [
      [layer, 'float16'],
      [layer, 'float32'],
    ]),
  ];
}

function timeLayer(layer: Layer, name: VariantName): LayerTimings {
  const variant = VARIANTS[name];
  usePrecision(variant.precision);
  const work = makeLayerWork(layer, variant);
  try {
    const { conv, sphere } = work;
    const [convForward, convBoth, sphereForward, sphereBoth, sphereRescaled] = timeInBatches([
      work.forward(conv),
      work.both(conv),
      work.forward(sphere),
      work.both(sphere),
      work.forward(work.sphereRescaled),
    ]) as [Timing, Timing, Timing, Timing, Timing];
    const row: LayerTimings = {
      ...{ layer: layerWords(layer), network: layer.network, variant: name, flops: flops(layer) },
      ...{ convForward, convBoth, sphereForward, sphereBoth, sphereRescaled },
    };
    if (layer.channels <= 4) {
      const [convFirst, sphereFirst, sphereFirstApart] = timeInBatches([
        work.both(conv, false),
        work.both(sphere, false),
        work.sphereFirstApart(),
      ]);
      Object.assign(row, { convFirst, sphereFirst, sphereFirstApart });
    }
    if (layer.network === 'CNN-9' || SMALL) {
      const data = layer.channels > 4;
      const [convBlock, sphereBlock, rescaledBlock] = timeInBatches([
        work.both(work.convBlock, data),
        work.both(work.sphereBlock, data),
        work.both(work.sphereRescaled, data),
      ]);
      Object.assign(row, { convBlock, sphereBlock, rescaledBlock });
    }
    return row;
  } finally {
    work[Symbol.dispose]();
    device.synchronize();
    device.emptyCache();
  }
}

/** Leaves the rest to another process. */
function lost(file: StageFile<unknown>): number {
  file.clearMark();
  file.save();
  return EXIT_RESTART;
}

export function timings(session: Session): number {
  const file = new StageFile<TimingsData>(session, { layers: {}, bandwidth: null });
  const { data } = file;
  const died = file.takeMark();
  if (died !== null) file.note(`the process died while timing ${died}; it was left out`);
  let complete = true;
  for (const [layer, variant] of plan()) {
    const key = `${layerWords(layer)} ${variant}`;
    if (data.layers[key] || file.record.notes.some((note) => note.includes(key))) continue;
    if (secondsLeft(session) < 0) {
      complete = false;
      break;
    }
    file.mark(key);
    try {
      data.layers[key] = timeLayer(layer, variant);
    } catch (error) {
      file.note(`${key} could not be timed: ${(error as Error).message}`);
      if (!isAlive()) return lost(file);
    }
    file.save();
  }
  if (complete && data.bandwidth === null) {
    data.bandwidth = elementwiseBandwidth(TARGET, SMALL ? 2 ** 10 : 2 ** 27, BATCH_PLAN);
  }
  file.finish(complete);
  console.log(`  ${Object.keys(data.layers).length} of ${plan().length} layers timed`);
  return 0;
}

export interface StepTimings {
  angular: boolean;
  batch: number;
  variant: VariantName;
  timing: Timing;
  imagesPerSecond: number;
  /** After the steps that were timed: a number, or the network has diverged. */
  loss: number;
  /** Taken from the device: in use and kept for the next step. */
  bytes: number;
}

export interface StepsData {
  steps: Record<string, StepTimings>;
}

export function steps(session: Session): number {
  const file = new StageFile<StepsData>(session, { steps: {} });
  const { data } = file;
  const died = file.takeMark();
  if (died !== null) file.note(`the process died in ${died}; it was left out`);
  let complete = true;
  for (const variant of ['bfloat16', 'tf32'] as const) {
    for (const batch of SMALL ? [4] : [128, 256]) {
      for (const angular of [false, true]) {
        const key = `CNN-9 ${angular ? 'spherical' : 'plain'} batch ${batch} ${variant}`;
        if (data.steps[key] || file.record.notes.some((note) => note.includes(key))) continue;
        if (secondsLeft(session) < 0) {
          complete = false;
          continue;
        }
        file.mark(key);
        try {
          data.steps[key] = timeStep(angular, batch, variant);
        } catch (error) {
          file.note(`${key} could not be timed: ${(error as Error).message}`);
          if (!isAlive()) return lost(file);
        }
        file.save();
      }
    }
  }
  file.finish(complete);
  console.log(`  ${Object.keys(data.steps).length} kinds of training step timed`);
  return 0;
}

function timeStep(angular: boolean, batch: number, variant: VariantName): StepTimings {
  usePrecision(VARIANTS[variant].precision);
  const work = makeStepWork(angular, batch, VARIANTS[variant]);
  try {
    const [timing] = timeInBatches([work.step]) as [Timing];
    return {
      ...{ angular, batch, variant, timing, imagesPerSecond: batch / (timing.median * 1e-6) },
      ...{ loss: work.lossAfterStep(0), bytes: memory().bytes + memory().cachedBytes },
    };
  } finally {
    work[Symbol.dispose]();
    device.synchronize();
    device.emptyCache();
  }
}
