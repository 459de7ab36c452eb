// Started by step_memory.ts with one argument, JSON; writes one line of JSON.
import { device } from '../core/device';
import type { DeviceName } from '../core/device';
import type { NetworkSpec } from './networks';
import { measureStepMemory } from './step_memory';

const { spec, where, threads } = JSON.parse(process.argv[2] ?? '{}') as {
  spec: NetworkSpec;
  where: DeviceName;
  threads: number;
};
device.cpu.threads = threads;
process.stdout.write(`${JSON.stringify(measureStepMemory(spec, where))}\n`);
