import type { DeviceName } from '../core/device';
import type { Benchmark } from './benchmark';
import { callOverhead } from './call_overhead';
import { convolutionPasses } from './convolution_passes';
import type { Effort } from './effort';
import { AXES, growth } from './growth';
import type { Axis } from './growth';
import { layersFor } from './layers';
import { loaderThroughput } from './loader_throughput';
import { stepMemory } from './step_memory';
import { trainingSteps } from './training_steps';

/** All benchmarks, in the order in which they run. A GPU gets four times the batch. */
export function allBenchmarks(device: DeviceName, { networks }: Effort): Benchmark[] {
  const factor = device === 'cuda' ? 4 : 1;
  const scaled = networks.map((network) => ({ ...network, batch: factor * network.batch }));
  return [
    ...layersFor(device).map((layer) => convolutionPasses(layer)),
    ...scaled.map((network) => trainingSteps(network)),
    ...scaled.map((network) => stepMemory(network)),
    loaderThroughput(),
    callOverhead(),
    ...(Object.keys(AXES) as Axis[]).map((axis) => growth(axis)),
  ];
}

/** Those whose name, such as "step CNN-9, batch 64", contains the text; capitals do not matter. */
export function chooseBenchmarks(benchmarks: readonly Benchmark[], filter: string | undefined): Benchmark[] {
  const wanted = (filter ?? '').toLowerCase();
  return benchmarks.filter((benchmark) => nameOf(benchmark).toLowerCase().includes(wanted));
}

/** "layer CNN-9 64x3x32x32 → 64 k3" */
export function nameOf({ kind, subject }: Benchmark): string {
  return `${kind} ${subject}`;
}
