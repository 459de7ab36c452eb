import { device } from '../core/device';

export type DeviceChoice = 'auto' | 'cpu' | 'cuda';

/**
 * Makes a device the current one: with `auto` the GPU where there is one that CUDA can use, else the CPU.
 *
 * @returns why CUDA is not used; empty where it is
 * @throws SphereNetError (SPHERENET_DEVICE) with the reason where `cuda` was asked for and is not available
 */
export function useDevice(choice: DeviceChoice, threads: number | undefined): string {
  if (threads !== undefined) device.cpu.threads = threads;
  if (choice === 'cpu') {
    device.use('cpu');
    return 'the CPU was asked for';
  }
  const { available, reason } = device.cuda.status();
  device.use(choice === 'cuda' || available ? 'cuda' : 'cpu');
  return available ? '' : `no CUDA: ${reason}`;
}
