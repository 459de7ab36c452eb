/** Before all tests of a file: the matchers. After each test: nothing it made is left. */
import { device } from '../ts/core/device';
import type { DeviceName } from '../ts/core/device';
import { memory } from '../ts/core/memory';
import { matchers } from './support/matchers';

expect.extend(matchers);

// Where the tensors of the tests live: `npm run test:cuda-host` runs the same tests on device cuda.
device.use((process.env['SPHERENET_TEST_DEVICE'] ?? 'cpu') as DeviceName);

let before: { tensors: number; bytes: number };

function inUse(): { tensors: number; bytes: number } {
  const { tensors, bytes } = memory();
  return { tensors, bytes };
}

beforeEach(() => {
  before = inUse();
});

afterEach(() => {
  expect(inUse()).toEqual(before);
});

// Test files have an addon instance each; what its allocator keeps would add up over a run.
afterAll(() => {
  device.emptyCache();
});
