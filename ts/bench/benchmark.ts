import type { DeviceName } from '../core/device';
import type { CeilingProbe } from './ceilings';
import type { Effort } from './effort';
import type { Kind, Measurement } from './measurement';
import type { NetworkSpec } from './networks';
import type { Peers } from './peers';
import type { StepMemory } from './step_memory';

/** What a benchmark is given and tells. */
export interface BenchContext {
  readonly device: DeviceName;
  readonly effort: Effort;
  readonly ceilings: CeilingProbe;
  /** Who else measures the same, if any. */
  readonly peers: Peers | null;
  readonly signal: AbortSignal;
  /** Measures the memory of a step in a process of its own, whose peaks are of nothing else. */
  readonly measureMemory: (spec: NetworkSpec) => Promise<StepMemory>;
  readonly emit: (measurement: Measurement) => void;
  /** What whoever reads the figures has to know. */
  readonly note: (text: string) => void;
}

/** One line of the run. */
export interface Benchmark {
  readonly kind: Kind;
  readonly subject: string;
  /** Whether the ceilings are measured before it. */
  readonly atCeilings: boolean;
  run(context: BenchContext): void | Promise<void>;
}
