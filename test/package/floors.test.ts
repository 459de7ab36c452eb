/** What the addon asks of a system, measured from the binary, is what README promises. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { glibcVersion } from '../../ts/core/loader';
import { ROOT, testedAddon } from './tarball';

/** The scripts are ES modules, which Jest does not load. */
function floors(expression: string): unknown {
  const program = `import * as floors from '${join(ROOT, 'scripts/floors.mjs')}'; console.log(JSON.stringify(${expression}));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
    cwd: ROOT,
  });
  expect(stderr).toBe('');
  return JSON.parse(stdout) as unknown;
}

const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
const ADDON = JSON.stringify(testedAddon());
// Elsewhere newer versions of the same symbols may be taken.
const onReleaseSystem = glibcVersion() === '2.36' && process.arch === 'x64' ? it : it.skip;

describe('the floors', () => {
  onReleaseSystem('are not risen by the addon that was built here', () => {
    expect(floors(`floors.risenFloors(floors.measureFloors(${ADDON}))`)).toEqual([]);
    expect(floors(`floors.measureFloors(${ADDON}).versions.libstdcxx`)).toBe(0);
  });

  it('would be seen to rise', () => {
    const measured = {
      glibc: '2.38',
      glibcSymbols: ['__isoc23_strtol@GLIBC_2.38'],
      nodeApi: 10,
      libraries: ['libstdc++.so.6'],
    };
    expect(floors(`floors.risenFloors(${JSON.stringify(measured)})`)).toEqual([
      'needs glibc 2.38 for __isoc23_strtol@GLIBC_2.38; the floor is 2.34',
      'needs Node-API 10; the floor is 9',
      'needs libstdc++.so.6, which a system need not have',
    ]);
    expect(
      floors("[['2.9', '2.34'], ['2.34', '2.4'], ['3', '3.0']].map((p) => floors.compareVersions(...p))"),
    ).toEqual([-1, 1, 0]);
  });

  it('are those of README and of package.json', () => {
    const { glibc } = floors('floors.FLOORS') as { glibc: string };
    const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      engines: { node: string };
    };
    expect(README).toContain(`glibc ${glibc}`);
    expect(README).toContain(`Node ${engines.node.replace('>=', '')}`);
    const oldest = /CUDART_VERSION >= 13000 \? (\d+)/.exec(
      readFileSync(join(ROOT, 'cuda/device.cc'), 'utf8'),
    )?.[1];
    expect(README).toContain(`driver ${oldest}`);
  });

  const onX64 = process.arch === 'x64' ? it : it.skip;
  onX64(
    'of the CPU are those of any x86-64, but for the kernels that are chosen at run time',
    () => {
      const list = spawnSync(process.execPath, ['scripts/sources.mjs'], {
        cwd: ROOT,
        encoding: 'utf8',
      }).stdout;
      const plain = list.trim().split('\n').filter((name) => !/isa_avx|no_cuda/.test(name)); // prettier-ignore
      expect(plain.length).toBeGreaterThan(20);
      const beyond = plain.filter((source) => usesAvx(source));
      expect(beyond).toEqual([]);
      expect(usesAvx('native/cpu/simd/isa_avx2.cc')).toBe(true);
    },
    120_000,
  );
});

/** Whether an object file of the addon has instructions of AVX and later: all of them are encoded with VEX. */
function usesAvx(source: string): boolean {
  const places = [
    `build/CMakeFiles/spherenet.dir/${source}.o`,
    `build/Release/obj.target/spherenet/${source.replace(/\.cc$/, '.o')}`,
  ];
  for (const place of places) {
    const { status, stdout } = spawnSync('objdump', ['-d', '--no-show-raw-insn', place], {
      cwd: ROOT,
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    if (status === 0) return /\tv[a-z0-9]+ .*%[xyz]mm/.test(stdout);
  }
  throw new Error(`no object file of ${source}; looked for ${places.join(', ')}`);
}
