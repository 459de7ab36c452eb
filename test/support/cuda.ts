/** Tests of device cuda, which most machines do not have: a GPU's, or the one that test/cuda-on-host makes of the CPU. */
import { device } from './library';

const { available, devices } = device.cuda.status();

/** `describe` where there is a device cuda. */
export const describeCuda = available ? describe : describe.skip;

/** `describe` where the CPU plays the device: faults can be asked for in the environment of a process. */
export const describeCudaOnHost = devices[0]?.name === 'CUDA on the CPU' ? describe : describe.skip;

/** Makes cuda the current device for the tests of the `describe` around. */
export function useCuda(): void {
  const before = device.current();
  beforeAll(() => {
    device.use('cuda');
  });
  afterAll(() => {
    device.use(before);
  });
}
