// What a run amounts to: ratios beside the targets, and what could not be done.
import { geometricMean } from '#bench/statistics';
import type { EnvironmentData } from './environment';
import type { KernelsData } from './kernels';
import { GPU_LAYERS, layerWords } from './layers';
import type { ParityData } from './parity/run';
import type { CudnnLayer, PeersData } from './peers';
import type { SanitizerData } from './sanitizer';
import { readStage } from './session';
import type { StageRecord } from './session';
import type { StepsData, TimingsData } from './timings';
import type { TrainingData } from './training';

/** In the order of their value to a reader who has little time. */
export const STAGES = [
  'environment',
  'parity',
  'timings',
  'steps',
  'peers',
  'sanitizer',
  'training',
  'kernels',
] as const;

export interface Stages {
  environment: StageRecord<EnvironmentData> | null;
  parity: StageRecord<ParityData> | null;
  timings: StageRecord<TimingsData> | null;
  steps: StageRecord<StepsData> | null;
  peers: StageRecord<PeersData> | null;
  sanitizer: StageRecord<SanitizerData> | null;
  training: StageRecord<TrainingData> | null;
  kernels: StageRecord<KernelsData> | null;
}

export function readStages(out: string): Stages {
  return Object.fromEntries(STAGES.map((stage) => [stage, readStage(out, stage)])) as unknown as Stages;
}

/** One layer in bfloat16; times in microseconds, ratios to the peers where there are such. */
export interface LayerSummary {
  layer: string;
  network: string;
  teraflops: { sphereForward: number; sphereBoth: number };
  sphereForward: number;
  sphereBoth: number;
  convForward: number;
  convBoth: number;
  cudnnForward: number | null;
  cudnnBoth: number | null;
  /** PyTorch's chain of calls, forward and backward: as Python calls it, as a graph, compiled (as a graph). */
  composedEager: number | null;
  composedGraph: number | null;
  composedCompiled: number | null;
  /** Sum over the layer's kernels, each alone on the device with cold caches. */
  sphereForwardKernels: number | null;
  sphereBothKernels: number | null;
  launches: { sphereForward: number; sphereBoth: number } | null;
}

/** A figure with a target: ratios are geometric means over `count` layers. */
export interface Goal {
  name: string;
  value: number | null;
  /** `at most` this, or `at least`. */
  target: number;
  atLeast: boolean;
  count: number;
}

export interface Summary {
  layers: LayerSummary[];
  goals: Goal[];
  couldNotDo: string[];
}

function cudnnTimes(layer: CudnnLayer | undefined): { forward: number | null; both: number | null } {
  const [forward, data, weight] = [layer?.forward, layer?.dataGradient, layer?.weightGradient].map(
    (pass) => pass?.microseconds ?? null,
  ) as [number | null, number | null, number | null];
  const both = forward === null || data === null || weight === null ? null : forward + data + weight;
  return { forward, both };
}

function layerSummaries({ timings, peers, kernels }: Stages): LayerSummary[] {
  return GPU_LAYERS.flatMap((layer): LayerSummary[] => {
    const words = layerWords(layer);
    const own = timings?.data.layers[`${words} bfloat16`];
    if (!own) return [];
    const cudnn = cudnnTimes(peers?.data.cudnnLayers['bf16']?.[words]);
    const figures = peers?.data.torchFigures ?? {};
    const composed = figures[`sphere both ${words}`];
    const compiled = figures[`sphere compiled both ${words}`];
    const [forward, both] = [`${words} sphereForward`, `${words} sphereBoth`].map(
      (phase) => kernels?.data.phases[phase],
    );
    const sum = (list: typeof forward): number | null =>
      list ? list.reduce((total, { microseconds }) => total + microseconds, 0) : null;
    const rate = (passes: number, microseconds: number): number => (passes * own.flops) / microseconds / 1e6;
    const [sphereForward, sphereBoth] = [own.sphereForward.median, own.sphereBoth.median];
    return [
      {
        ...{ layer: words, network: layer.network, sphereForward, sphereBoth },
        teraflops: { sphereForward: rate(1, sphereForward), sphereBoth: rate(3, sphereBoth) },
        ...{ convForward: own.convForward.median, convBoth: own.convBoth.median },
        ...{ cudnnForward: cudnn.forward, cudnnBoth: cudnn.both },
        ...{ composedEager: composed?.eager ?? null, composedGraph: composed?.graph ?? null },
        composedCompiled: compiled?.graph ?? compiled?.eager ?? null,
        ...{ sphereForwardKernels: sum(forward), sphereBothKernels: sum(both) },
        launches: forward && both ? { sphereForward: forward.length, sphereBoth: both.length } : null,
      },
    ];
  });
}

function goal(
  name: string,
  pairs: readonly (readonly [number | null, number | null])[],
  target: number,
  atLeast = false,
): Goal {
  const ratios = pairs.flatMap(([a, b]) => (a === null || b === null ? [] : [a / b]));
  const value = ratios.length > 0 ? geometricMean(ratios) : null;
  return { name, value, target, atLeast, count: ratios.length };
}

function stepGoals({ steps, peers }: Stages): Goal[] {
  const figures = peers?.data.torchFigures ?? {};
  return [128, 256].flatMap((batch) => {
    const own = steps?.data.steps[`CNN-9 spherical batch ${batch} bfloat16`]?.timing.median ?? null;
    const plain = figures[`CNN-9 plain batch ${batch}`];
    const compiled = figures[`CNN-9 plain compiled batch ${batch}`];
    const name = `CNN-9 step, batch ${batch}, spherical / PyTorch plain`;
    return [
      goal(`${name} (eager)`, [[own, plain?.eager ?? null]], 1.1),
      goal(`${name} (as a graph)`, [[own, plain?.graph ?? null]], 1.1),
      goal(`${name} (compiled)`, [[own, compiled?.eager ?? null]], 1.1),
    ];
  });
}

function goals(stages: Stages, layers: readonly LayerSummary[]): Goal[] {
  const ratio = (
    a: (layer: LayerSummary) => number | null,
    b: (layer: LayerSummary) => number | null,
  ): [number | null, number | null][] => layers.map((layer) => [a(layer), b(layer)]);
  return [
    goal('SphereConv forward / cuDNN plain forward', ratio((l) => l.sphereForward, (l) => l.cudnnForward), 1.3), // prettier-ignore
    goal('SphereConv fwd+bwd / cuDNN plain fwd+bwd', ratio((l) => l.sphereBoth, (l) => l.cudnnBoth), 1.4), // prettier-ignore
    goal('the same, kernels alone, forward', ratio((l) => l.sphereForwardKernels, (l) => l.cudnnForward), 1.3), // prettier-ignore
    goal('the same, kernels alone, fwd+bwd', ratio((l) => l.sphereBothKernels, (l) => l.cudnnBoth), 1.4), // prettier-ignore
    goal('composed in PyTorch / SphereConv, fwd+bwd (eager)', ratio((l) => l.composedEager, (l) => l.sphereBoth), 3, true), // prettier-ignore
    goal('composed in PyTorch / SphereConv, fwd+bwd (as a graph)', ratio((l) => l.composedGraph, (l) => l.sphereBoth), 3, true), // prettier-ignore
    goal('composed and compiled / SphereConv, fwd+bwd', ratio((l) => l.composedCompiled, (l) => l.sphereBoth), 1, true), // prettier-ignore
    goal(
      'plain conv2d forward / cuDNN',
      ratio(
        (l) => l.convForward,
        (l) => l.cudnnForward,
      ),
      1.3,
    ),
    goal(
      'plain conv2d fwd+bwd / cuDNN',
      ratio(
        (l) => l.convBoth,
        (l) => l.cudnnBoth,
      ),
      1.4,
    ),
    ...stepGoals(stages),
  ];
}

/** What always stays open, so that no reader takes it for done. */
const NEVER_DONE = [
  "times of single calls contain JavaScript's and the driver's cost of launching where that is the larger: the library has no CUDA graphs yet",
  "cuDNN's fused graph for SphereConv is not measured; the composed peer is PyTorch's chain of calls",
];

export function summarise(stages: Stages, notes: readonly string[]): Summary {
  const layers = layerSummaries(stages);
  const open = STAGES.flatMap((stage) => {
    const record = stages[stage];
    if (!record) return [`${stage}: not run`];
    const notes = record.notes.map((note) => `${stage}: ${note}`);
    return record.complete || notes.length > 0 ? notes : [`${stage}: not all of it was done in its time`];
  });
  return { layers, goals: goals(stages, layers), couldNotDo: [...open, ...notes, ...NEVER_DONE] };
}
