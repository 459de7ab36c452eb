import { findProgram } from '#bench/commands';

/** Where a tool of the CUDA toolkit lies, or null where it is not installed. */
export function findCudaTool(name: string): string | null {
  return findProgram(name, [`/usr/local/cuda/bin/${name}`, `/opt/cuda/bin/${name}`]);
}
