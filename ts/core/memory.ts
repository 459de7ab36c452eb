import { binding } from './binding';
import type { DeviceMemory, MemoryInfo } from './binding';

export type { DeviceMemory, MemoryInfo };

/**
 * What tensors use now, in this thread: to be equal before and after work that should leave nothing behind.
 * What a graph holds for backward() counts too.
 */
export function memory(): MemoryInfo {
  return binding.memory();
}
