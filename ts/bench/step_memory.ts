import { join } from 'node:path';
import { device } from '../core/device';
import type { DeviceName } from '../core/device';
import { memory } from '../core/memory';
import { scope } from '../core/scope';
import type { Benchmark } from './benchmark';
import { runCommand } from './commands';
import { single } from './measurement';
import { networkLabel } from './networks';
import type { NetworkSpec } from './networks';
import { processPeak } from './process_peak';
import { makeStep } from './training_steps';

/** Bytes that a training step takes. */
export interface StepMemory {
  /** What the forward pass leaves for backward(). */
  readonly saved: number;
  /** Most that tensors and the ops' scratch memory took at once, over what they took before the first step. */
  readonly peak: number;
  /** The same of the whole process, as the system sees it; after three steps. */
  readonly processPeak: number;
  /** Whether that is of this program alone, see {@link processPeak}. */
  readonly ownPeak: boolean;
  /** Taken from the system by the allocator of tensors in the steps after the third. */
  readonly takenAfterThird: number;
  /** Of the process in the same steps. */
  readonly processGrowth: number;
}

const WARM_STEPS = 3;
const LATER_STEPS = 5;

/** Measures in this process, whose peaks are only right where nothing larger has run before. */
export function measureStepMemory(spec: NetworkSpec, where: DeviceName): StepMemory {
  using work = makeStep(spec, where);
  const use = (): { bytes: number; taken: number; peak: number } => {
    device.synchronize();
    const { bytes, cachedBytes, peakBytes } = memory().devices[where];
    return { bytes, taken: bytes + cachedBytes, peak: peakBytes };
  };
  const floor = use().bytes;
  const processFloor = process.memoryUsage.rss();
  for (let i = 0; i < WARM_STEPS; ++i) work.step(i);
  const warm = use();
  const { bytes: mostResident, own: ownPeak } = processPeak();
  const processWarm = process.memoryUsage.rss();
  for (let i = 0; i < LATER_STEPS; ++i) work.step(i);
  const takenAfterThird = use().taken - warm.taken;
  const processGrowth = process.memoryUsage.rss() - processWarm;
  return {
    saved: savedForBackward(work, where),
    ...{ peak: warm.peak - floor, processPeak: mostResident - processFloor, ownPeak },
    ...{ takenAfterThird, processGrowth },
  };
}

/** Bytes that a forward pass leaves behind: what it keeps for backward(), and its loss. */
export function savedForBackward(work: { forward(run: number): unknown }, where: DeviceName): number {
  const bytes = (): number => memory().devices[where].bytes;
  device.synchronize();
  const before = bytes();
  return scope(() => {
    work.forward(0);
    device.synchronize();
    return bytes() - before;
  });
}

/** {@link measureStepMemory} in a new process. */
export async function measureMemoryApart(spec: NetworkSpec, where: DeviceName): Promise<StepMemory> {
  let answer = '';
  const { code, errors } = await runCommand(
    process.execPath,
    [join(__dirname, 'step_memory_process.js'), JSON.stringify({ spec, where, threads: device.cpu.threads })],
    { seconds: 600, onLine: (line) => (answer = line) },
  );
  if (code !== 0) throw new Error(`the process that measures memory ended with ${code}: ${errors}`);
  return JSON.parse(answer) as StepMemory;
}

const FIGURES = {
  saved: 'saved for backward',
  peak: 'peak of tensors',
  processPeak: 'peak of the process',
  takenAfterThird: 'taken after step 3',
  processGrowth: 'process growth after step 3',
} as const satisfies Record<Exclude<keyof StepMemory, 'ownPeak'>, string>;

const NOT_OWN = `${FIGURES.processPeak} as the system gives it, at least that of the program that started it`;

/** Memory of the training steps of a network, plain and spherical. */
export function stepMemory(network: Omit<NetworkSpec, 'angular'>): Benchmark {
  const subject = networkLabel({ ...network, angular: false });
  return {
    ...{ kind: 'memory', subject, atCeilings: false },
    async run(context) {
      const { measureMemory, emit } = context;
      let own = true;
      for (const angular of [false, true]) {
        const found = await measureMemory({ ...network, angular });
        const contestant = angular ? 'spherical' : 'plain';
        own &&= found.ownPeak;
        for (const [name, what] of Object.entries(FIGURES)) {
          const figure = single(found[name as keyof typeof FIGURES]);
          emit({ kind: 'memory', subject, what, contestant, unit: 'bytes', ...figure });
        }
      }
      if (!own) context.note(`memory of ${subject}: ${NOT_OWN}`);
      await context.peers?.measureMemory({ ...network, angular: false }, context);
    },
  };
}
