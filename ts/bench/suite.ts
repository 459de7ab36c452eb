import type { DeviceName } from '../core/device';
import { device } from '../core/device';
import type { BenchContext } from './benchmark';
import { allBenchmarks, chooseBenchmarks, nameOf } from './catalogue';
import { CeilingProbe } from './ceilings';
import type { Ceilings } from './ceilings';
import type { Effort } from './effort';
import type { Measurement } from './measurement';
import { Peers } from './peers';
import type { PeerProgram } from './peer_process';
import type { BenchProgress } from './progress';
import { measureMemoryApart } from './step_memory';

export interface SuiteOptions {
  readonly device: DeviceName;
  readonly effort: Effort;
  /** Only benchmarks whose name contains this; all by default. */
  readonly filter?: string | undefined;
  /** Who else is to measure the same; nobody by default. */
  readonly peers?: readonly PeerProgram[] | undefined;
  readonly signal: AbortSignal;
  readonly progress: BenchProgress;
  /** For a caller that wants no second process. */
  readonly measureMemory?: BenchContext['measureMemory'];
}

export interface SuiteOutcome {
  readonly measurements: Measurement[];
  readonly ceilings: Ceilings | null;
  readonly notes: string[];
  /** Names and versions of the peers that were there. */
  readonly peers: string[];
  readonly seconds: number;
}

/**
 * Runs the benchmarks one after the other. One that fails becomes a note, and the others go on.
 *
 * @throws Error, one sentence, where the filter leaves none or none could be measured; the signal's reason when aborted
 */
export async function runSuite(options: SuiteOptions): Promise<SuiteOutcome> {
  const { effort, signal, progress, filter, measureMemory } = options;
  const chosen = chooseBenchmarks(allBenchmarks(options.device, effort), filter);
  if (chosen.length === 0) {
    throw new Error(
      `--filter: expected a part of a benchmark's name, such as CNN-9 or overhead, got ${filter}`,
    );
  }
  const begin = performance.now();
  const measurements: Measurement[] = [];
  const notes: string[] = [];
  using peers = options.peers ? await Peers.start(options.peers) : null;
  const versions = peers?.versions ?? [];
  // Ends a peer that is measuring, so that its answer is not waited for.
  signal.addEventListener('abort', () => peers?.[Symbol.dispose]());
  const ceilings = new CeilingProbe(options.device, effort.ceilingSeconds);
  const context: BenchContext = {
    ...{ device: options.device, effort, ceilings, peers, signal },
    measureMemory: measureMemory ?? ((spec) => measureMemoryApart(spec, options.device)),
    emit: (measurement) => void measurements.push(measurement),
    note: (text) => void notes.push(text),
  };
  try {
    for (const [place, benchmark] of chosen.entries()) {
      progress.begin(place, chosen.length, nameOf(benchmark));
      // What a benchmark runs through blocks; here a Ctrl-C comes in.
      await new Promise((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
      if (benchmark.atCeilings) ceilings.sample();
      try {
        await benchmark.run(context);
      } catch (error) {
        signal.throwIfAborted();
        notes.push(`${nameOf(benchmark)}: ${(error as Error).message}`);
      }
      device.synchronize();
      device.emptyCache();
    }
  } finally {
    progress.stop();
  }
  if (measurements.length === 0) throw new Error(`nothing could be measured: ${notes.join('; ')}`);
  return {
    measurements,
    ceilings: ceilings.result(),
    notes: [...(peers?.notes ?? []), ...notes],
    peers: versions,
    seconds: (performance.now() - begin) / 1000,
  };
}
