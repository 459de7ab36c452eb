// What an addon asks of the system it runs on, measured from the binary (with readelf), and the floors that README
// promises. `npm run package` refuses an addon that asks for more, and test/package checks what the tests have built.
//   node scripts/floors.mjs [addon]     prints what was measured
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);

/** Of the addon for Linux. Debian 12, whose glibc is 2.36, is what it is built on. */
export const FLOORS = {
  glibc: '2.34',
  /** Node 20.3, and 18.17. */
  nodeApi: 9,
  /** Every Linux with glibc has them; libstdc++ and the CUDA runtime are inside the addon. */
  libraries: ['ld-linux-x86-64.so.2', 'libc.so.6', 'libgcc_s.so.1', 'libm.so.6'],
};

/** -1, 0 or 1, as '2.9' is before '2.34'. */
export function compareVersions(a, b) {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number));
  for (let i = 0; i < Math.max(left.length, right.length); ++i) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return 0;
}

function readelf(...args) {
  const result = spawnSync('readelf', ['--wide', ...args], { encoding: 'utf8', maxBuffer: 1 << 26 });
  if (result.status === 0) return result.stdout;
  throw new Error(`readelf ${args.at(-1)}: ${result.error?.message ?? result.stderr}`);
}

/** The oldest Node-API that has all these functions; `experimental` ones are in none. */
function oldestNodeApi(functions) {
  const { symbols } = require('node-api-headers');
  const versions = Object.keys(symbols)
    .filter((name) => /^v\d+$/.test(name))
    .map((name) => Number(name.slice(1)))
    .sort((a, b) => a - b);
  const named = (version) => {
    const { js_native_api_symbols: js, node_api_symbols: node } = symbols[`v${version}`];
    return [...js, ...node];
  };
  const since = (name) => versions.find((version) => named(version).includes(name)) ?? Infinity;
  return Math.max(...functions.map(since));
}

/**
 * @param addon of Linux
 * @returns glibc: the newest version of its symbols, and `glibcSymbols`: the symbols of that version;
 *   nodeApi: the oldest that has its functions; libraries: what the dynamic linker loads with it, without libcuda, which
 *   is looked for at run time; versions: of other libraries' symbols
 */
export function measureFloors(addon) {
  const needs = [...readelf('--version-info', addon).matchAll(/Name: (\w+?)_([\d.]+)\b/g)];
  const of = (library) => needs.filter(([, name]) => name === library).map(([, , version]) => version);
  const symbols = readelf('--dyn-syms', addon).split('\n');
  const undefinedNames = symbols.map((line) => / UND (\S+)/.exec(line)?.[1]).filter(Boolean);
  const glibc = of('GLIBC').sort(compareVersions).at(-1);
  return {
    glibc,
    glibcSymbols: undefinedNames.filter((name) => name.endsWith(`@GLIBC_${glibc}`)),
    nodeApi: oldestNodeApi(undefinedNames.filter((name) => /^(napi|node_api)_/.test(name))),
    libraries: [...readelf('--dynamic', addon).matchAll(/\(NEEDED\).*\[(.+)\]/g)]
      .map(([, name]) => name)
      .sort(),
    versions: { libgcc: of('GCC').sort(compareVersions).at(-1), libstdcxx: of('GLIBCXX').length },
  };
}

/** What the addon asks for beyond FLOORS, one sentence each; none where it is as promised. */
export function risenFloors(measured) {
  const faults = [];
  const { glibc, glibcSymbols, nodeApi, libraries } = measured;
  if (compareVersions(glibc, FLOORS.glibc) > 0) {
    faults.push(`needs glibc ${glibc} for ${glibcSymbols.join(', ')}; the floor is ${FLOORS.glibc}`);
  }
  if (nodeApi > FLOORS.nodeApi) faults.push(`needs Node-API ${nodeApi}; the floor is ${FLOORS.nodeApi}`);
  const strange = libraries.filter((name) => !FLOORS.libraries.includes(name));
  if (strange.length > 0) faults.push(`needs ${strange.join(', ')}, which a system need not have`);
  return faults;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const measured = measureFloors(process.argv[2] ?? `${root}build/Release/spherenet.node`);
  console.log(JSON.stringify(measured, null, 2));
  for (const fault of risenFloors(measured)) console.error(`floors: the addon ${fault}`);
}
