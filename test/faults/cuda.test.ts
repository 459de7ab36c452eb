import { Worker } from 'node:worker_threads';
import { compileLibrary, program, runProgram } from '../support/compiled';
import { describeCuda, describeCudaOnHost } from '../support/cuda';

const compiled = compileLibrary();

afterAll(() => compiled.remove());

interface Fault {
  code: string;
  message: string;
}

/** Runs one part of programs/cuda_faults.js; answers what it saw. */
async function faults<T>(which: string, env: NodeJS.ProcessEnv): Promise<T> {
  const { code, output, errors } = await runProgram('cuda_faults.js', compiled, {
    args: [which],
    env: { SPHERENET_TEST_DEVICE: 'cpu', ...env },
  });
  expect([code, errors]).toEqual([0, '']);
  return JSON.parse(output) as T;
}

interface Status {
  available: boolean;
  reason: string;
  used: Fault | null;
  cpuWorks: boolean;
}

describe('no GPU to be seen', () => {
  it('is said, and the CPU works', async () => {
    const status = await faults<Status>('status', { CUDA_VISIBLE_DEVICES: '' });
    expect(status).toMatchObject({ available: false, cpuWorks: true, used: { code: 'SPHERENET_DEVICE' } });
    expect(status.reason).not.toBe('');
    expect(status.used?.message).toContain(status.reason);
  });
});

describe('SPHERENET_PRECISION', () => {
  it('is refused where it is no precision', async () => {
    const { code, errors } = await runProgram('cuda_faults.js', compiled, {
      args: ['status'],
      env: { SPHERENET_PRECISION: 'half' },
    });
    expect(code).toBe(1);
    expect(errors).toContain(
      "SPHERENET_PRECISION: value must be one of 'tf32', 'float32', got the string 'half'",
    );
  });
});

describeCudaOnHost('a device that cannot be used', () => {
  it.each<[string, NodeJS.ProcessEnv, string]>([
    ['none visible', { CUDA_VISIBLE_DEVICES: '' }, 'CUDA_VISIBLE_DEVICES hides them all'],
    ['none there', { CUDA_HOST_DEVICES: '0' }, 'found no GPU'],
    ['no driver', { CUDA_HOST_DRIVER: '0' }, 'no NVIDIA driver was found'],
    ['an old driver', { CUDA_HOST_DRIVER: '12080' }, 'the NVIDIA driver is too old: it serves CUDA 12.8'],
    ['an old GPU', { CUDA_HOST_CAPABILITY: '7.5' }, 'has compute capability 7.5, and 8.0 or newer is needed'],
  ])('is an answer with the reason: %s', async (_, env, reason) => {
    const status = await faults<Status>('status', env);
    expect(status).toMatchObject({ available: false, cpuWorks: true });
    expect(status.reason).toContain(reason);
    expect(status.used?.message).toContain(reason);
  });
});

describeCudaOnHost('a request that does not fit into the memory of the GPU', () => {
  it('is an error that says what was asked, what is in use and what helps; everything lives on', async () => {
    const seen = await faults<
      Record<'first' | 'op' | 'again' | 'afterAll' | 'absurd', Fault | null> & {
        usable: number;
        cachedBytes: number;
        count: number;
        cpuWorks: boolean;
      }
    >('memory', { CUDA_HOST_MEMORY: '64' });
    expect(seen.first?.code).toBe('SPHERENET_OUT_OF_MEMORY');
    for (const words of [
      'tensor [1048576]: out of memory on cuda: 4 MiB requested',
      'MiB in use by tensors',
      "of the device's 64 MiB free",
      'would help',
    ]) {
      expect(seen.first?.message).toContain(words);
    }
    expect(seen.count).toBeGreaterThanOrEqual(10 - 3);
    expect(seen.op?.code).toBe('SPHERENET_OUT_OF_MEMORY');
    expect(seen).toMatchObject({ usable: 0, again: null, afterAll: null, cachedBytes: 0, cpuWorks: true });
    expect(seen.absurd?.message).toContain('16384 MiB requested');
  });
});

describeCudaOnHost('a kernel that fails', () => {
  const LOST =
    /^(.+: )?the CUDA context is lost after \w+\(float32 \[4, 5\].*\): an illegal memory access.*; CPU tensors stay usable, restart the process to use the GPU again/;

  it.each([
    ['noticed later', '0'],
    ['noticed at once with SPHERENET_CUDA_SYNC', '1'],
  ])(
    'loses the context: every later call says so, the CPU works and the process ends: %s',
    async (_, sync) => {
      const { z, reading, later, bytes, cpuWorks } = await faults<{
        z: Fault | null;
        reading: Fault;
        later: Record<string, Fault>;
        bytes: number;
        cpuWorks: boolean;
      }>('lost', { CUDA_HOST_FAIL_LAUNCH: '3', SPHERENET_CUDA_SYNC: sync });
      expect({ bytes, cpuWorks }).toEqual({ bytes: 0, cpuWorks: true });
      if (sync === '1')
        expect(z?.message).toMatch(/^the CUDA context is lost after leakyRelu\(float32 \[4, 5\]/);
      for (const { message } of [reading, ...Object.values(later)]) expect(message).toMatch(LOST);
      expect(Object.keys(later)).toHaveLength(8);
    },
  );

  it('reaches a copy to the CPU that is awaited there', async () => {
    const { error, cpuWorks } = await faults<{ error: Fault; cpuWorks: boolean }>('lostAcross', {
      CUDA_HOST_FAIL_LAUNCH: '3',
    });
    expect(error.message).toContain('the CUDA context is lost after');
    expect(cpuWorks).toBe(true);
  });

  it('is an error that names the op and its shapes where the launch is refused, and no more than that', async () => {
    const { refused, next, synchronize } = await faults<{ refused: Fault; next: number; synchronize: null }>(
      'refused',
      { CUDA_HOST_REFUSE_LAUNCH: '2' },
    );
    expect(refused.code).toBe('SPHERENET_NATIVE');
    expect(refused.message).toMatch(/^affine\(float32 \[4, 5\], float32 \[4, 5\]\): kernel launch: /);
    expect([next, synchronize]).toEqual([1, null]);
  });
});

describeCuda('environments and processes that end', () => {
  const env = { ...compiled.env, SPHERENET_TEST_DEVICE: 'cuda' };

  it('each worker thread has its stream, and ends in the middle of work', async () => {
    const ends = [1, 2, 3].map(async (i) => {
      const worker = new Worker(program('cuda_worker.js'), { env });
      await new Promise((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      });
      await new Promise((resolve) => setTimeout(resolve, 5 * i));
      return worker.terminate();
    });
    expect(await Promise.all(ends)).toEqual([1, 1, 1]);
  });

  it.each([
    ['exit', { code: 7, errors: '' }],
    ['reading', { code: 0, output: 'read\n', errors: '' }],
  ])('a process ends with its own exit code while work is under way: %s', async (how, ended) => {
    const seen = await runProgram('cuda_exit.js', compiled, {
      args: [how],
      env: { SPHERENET_TEST_DEVICE: 'cuda' },
    });
    expect(seen).toMatchObject({ signal: null, ...ended });
  });
});
