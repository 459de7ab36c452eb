import { arch, cpus, platform } from 'node:os';
import { device } from '../core/device';
import type { Machine } from './results';

/**
 * What computes, for reports.
 *
 * @param withoutCuda why CUDA is not used; empty where it is
 */
export function thisMachine(withoutCuda: string): Machine {
  const name = device.current();
  const gpu = device.cuda.status().devices[0]?.name;
  return {
    device: name,
    simd: device.cpu.simd(),
    threads: device.cpu.threads,
    processor: (name === 'cuda' ? gpu : cpus()[0]?.model) ?? 'of unknown name',
    withoutCuda,
    node: process.version,
    platform: `${platform()} ${arch()}`,
  };
}

/** One line about the device that a run uses. */
export function describeDevice(withoutCuda: string): string {
  return describeMachine(thisMachine(withoutCuda));
}

/** The same for a machine of before. */
export function describeMachine({ device: name, processor, simd, threads, withoutCuda }: Machine): string {
  if (name !== 'cpu') return `${name}, ${processor}`;
  const workers = `${threads} ${threads === 1 ? 'thread' : 'threads'}`;
  return `CPU, ${processor}, ${simd}, ${workers}${withoutCuda && `; ${withoutCuda}`}`;
}
