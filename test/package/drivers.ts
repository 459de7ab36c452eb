/** Drivers of NVIDIA that answer what a test wants, and an addon that asks them. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT, testedAddon } from './tarball';

const PROGRAMS = join(__dirname, 'programs');
const COMPILER = process.env['CXX'] ?? 'c++';

function compile(...args: string[]): void {
  const { status, stderr } = spawnSync(COMPILER, ['-std=c++20', '-O1', '-fPIC', '-shared', ...args], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
}

/** @returns a folder for LD_LIBRARY_PATH whose libcuda.so.1 is test/package/programs/<name>.cc */
export function fakeDriver(folder: string, name: string): string {
  const place = join(folder, name);
  mkdirSync(place);
  compile('-o', join(place, 'libcuda.so.1'), join(PROGRAMS, `${name}.cc`));
  return place;
}

/** The object files of the addon that was built without CUDA, but for those that say so. */
function objects(): string[] {
  const list = spawnSync(process.execPath, ['scripts/sources.mjs'], { cwd: ROOT, encoding: 'utf8' }).stdout;
  const sources = list.trim().split('\n').filter((name) => !/no_cuda|build_info/.test(name)); // prettier-ignore
  return sources.map((source) => {
    const places = [
      join(ROOT, 'build/CMakeFiles/spherenet.dir', `${source}.o`),
      join(ROOT, 'build/Release/obj.target/spherenet', source.replace(/\.cc$/, '.o')),
    ];
    const place = places.find((path) => existsSync(path));
    if (place === undefined) throw new Error(`no object file of ${source}; looked for ${places.join(', ')}`);
    return place;
  });
}

/**
 * An addon that asks the driver: the one under test where that has CUDA, else its objects with cuda/device.cc and the
 * CUDA runtime of cudart_over_libcuda.cc.
 */
export function askingAddon(folder: string, build: { version: string; cuda: string }): string {
  if (build.cuda !== '') return testedAddon();
  const addon = join(folder, 'spherenet.node');
  const packages = ['node-api-headers/include', 'node-addon-api'].map(
    (name) => `-I${join(ROOT, 'node_modules', name)}`,
  );
  const defines = {
    NAPI_VERSION: '9',
    NAPI_CPP_EXCEPTIONS: '1',
    SPHERENET_VERSION: `"${build.version}"`,
    SPHERENET_CUDA_TOOLKIT: '"13.0"',
    SPHERENET_CUDA_ARCHITECTURES: '"80"',
  };
  compile(
    ...[
      '-o',
      addon,
      '-pthread',
      '-static-libstdc++',
      '-Wl,-z,nodelete',
      '-Itest/cuda-on-host/include',
      ...packages,
    ],
    ...Object.entries(defines).map(([name, value]) => `-D${name}=${value}`),
    ...[join(PROGRAMS, 'cudart_over_libcuda.cc'), 'cuda/device.cc', 'native/napi/build_info.cc'],
    ...[...objects(), '-ldl'],
  );
  expect(dirname(addon)).toBe(folder);
  return addon;
}
