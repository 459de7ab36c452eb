import { readFileSync } from 'node:fs';
import { compileLibrary, runProgram } from '../support/compiled';
import { device } from '../support/library';
import '../support/matchers';

const compiled = compileLibrary();

afterAll(() => compiled.remove());

function supported(path: string): boolean {
  if (path === 'portable') return true;
  try {
    const info = readFileSync('/proc/cpuinfo', 'utf8');
    return path === 'avx2' ? / avx2 /.test(info) && / fma /.test(info) : / avx512f /.test(info);
  } catch {
    return false;
  }
}

const paths = ['portable', 'avx2', 'avx512'].filter(supported);

async function results(path: string): Promise<{ path: string; results: number[][] }> {
  const { code, output, errors } = await runProgram('simd.js', compiled, { env: { SPHERENET_SIMD: path } });
  expect([code, errors]).toEqual([0, '']);
  return JSON.parse(output) as { path: string; results: number[][] };
}

describe('SPHERENET_SIMD', () => {
  it('is the best path that the processor has, where it is not set', () => {
    if (process.env['SPHERENET_SIMD']) return;
    expect(device.cpu.simd()).toBe(paths.at(-1));
  });

  it.each(paths)('forces %s, which computes what the portable path computes', async (path) => {
    const [forced, portable] = [await results(path), await results('portable')];
    expect(forced.path).toBe(path);
    forced.results.forEach((values, i) => expect(values).toBeAllClose(portable.results[i] as number[], 3e-6));
  });

  it.each(paths)('forces %s, on which the fixtures hold', async (path) => {
    const { code, output, errors } = await runProgram('fixtures.js', compiled, {
      env: { SPHERENET_SIMD: path },
    });
    expect([code, errors]).toEqual([0, '']);
    const result = JSON.parse(output) as {
      path: string;
      cases: number;
      worst: { float32: number; float64: number };
    };
    expect(result.path).toBe(path);
    expect(result.cases).toBeGreaterThan(90);
    expect(result.worst.float32).toBeLessThan(1e-4);
    expect(result.worst.float64).toBeLessThan(1e-9);
  });

  it.each(['sse9', 'AVX2 '])('%j is refused with the names there are', async (name) => {
    const { code, errors } = await runProgram('simd.js', compiled, { env: { SPHERENET_SIMD: name } });
    expect(code).toBe(1);
    for (const word of ['SPHERENET_SIMD', name, 'portable', 'avx2', 'avx512']) expect(errors).toContain(word);
  });
});

describe('SPHERENET_WINOGRAD', () => {
  it.each(['0', '1'])('%s: the fixtures hold', async (value) => {
    const { code, output, errors } = await runProgram('fixtures.js', compiled, {
      env: { SPHERENET_WINOGRAD: value },
    });
    expect([code, errors]).toEqual([0, '']);
    const { worst } = JSON.parse(output) as { worst: { float32: number; float64: number } };
    expect(worst.float32).toBeLessThan(1e-4);
    expect(worst.float64).toBeLessThan(1e-9);
  });

  it.each(['2', 'on'])('%s is refused', async (value) => {
    const { code, errors } = await runProgram('simd.js', compiled, { env: { SPHERENET_WINOGRAD: value } });
    expect(code).toBe(1);
    for (const word of ['SPHERENET_WINOGRAD', '0 (never)', '1 (wherever', value])
      expect(errors).toContain(word);
  });
});

describe('SPHERENET_THREADS', () => {
  it.each(['0', 'many', '1000'])('%s is refused', async (value) => {
    const { code, errors } = await runProgram('simd.js', compiled, { env: { SPHERENET_THREADS: value } });
    expect(code).not.toBe(0);
    for (const word of ['SPHERENET_THREADS', 'from 1 to 256', value]) expect(errors).toContain(word);
  });
});
