// `npm test`: builds what is stale, then runs the native tests (test/native) and jest (test).
//   npm test -- test/ops nn     only what has one of these in its path; everything after -- goes to jest as well
// With SPHERENET_BINDING set, that addon is tested and nothing is built.
// The last line is `N passed, N failed`; each native test program counts as one.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { filesUnder, listedSources } from './sources.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'build/test');
const jestArgs = process.argv.slice(2);
const patterns = jestArgs.filter((argument) => !argument.startsWith('-'));

const run = (command, args) => spawnSync(command, args, { cwd: root, stdio: 'inherit' }).status === 0;

/** The addon's own object files, as cmake-js or node-gyp left them, without the Node-API layer and CUDA. */
function objectFiles() {
  return listedSources()
    .filter((source) => source.startsWith('native/cpu/'))
    .map((source) => {
      const places = [`build/CMakeFiles/spherenet.dir/${source}.o`];
      places.push(`build/Release/obj.target/spherenet/${source.replace(/\.cc$/, '.o')}`);
      const place = places.find((path) => existsSync(join(root, path)));
      if (place === undefined)
        throw new Error(`no object file of ${source}; looked for ${places.join(', ')}`);
      return place;
    });
}

/** Compiles a native test against the very objects that are in the addon, unless it is up to date. */
function compiled(source) {
  const program = join(folder, basename(source, '.cc'));
  const objects = objectFiles();
  const headers = [...filesUnder('native', isHeader), ...filesUnder('test/native', isHeader)];
  const newest = Math.max(
    ...[source, ...objects, ...headers].map((file) => statSync(join(root, file)).mtimeMs),
  );
  if (existsSync(program) && statSync(program).mtimeMs > newest) return program;
  const flags = ['-std=c++20', '-O1', '-Wall', '-Wextra', '-pthread'];
  const ok = run(process.env.CXX ?? 'c++', [...flags, '-o', program, source, ...objects]);
  return ok ? program : null;
}

const isHeader = (file) => file.endsWith('.h');

function runNativeTests() {
  const count = { passed: 0, failed: 0 };
  const sources = filesUnder('test/native', (file) => file.endsWith('.cc')).filter(
    (file) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern)),
  );
  for (const source of sources) {
    console.log(`\n${source}`);
    const program = compiled(source);
    if (program !== null && run(program, [])) count.passed += 1;
    else count.failed += 1;
  }
  return count;
}

function runJest() {
  const report = join(folder, 'jest.json');
  rmSync(report, { force: true });
  const jest = join(root, 'node_modules/jest/bin/jest.js');
  const ok = run(process.execPath, [
    jest,
    '--json',
    `--outputFile=${report}`,
    '--passWithNoTests',
    ...jestArgs,
  ]);
  if (!existsSync(report)) return { passed: 0, failed: 1 };
  const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites } = JSON.parse(
    readFileSync(report, 'utf8'),
  );
  const failed = numFailedTests + numRuntimeErrorTestSuites;
  return { passed: numPassedTests, failed: ok ? failed : Math.max(failed, 1) };
}

if (process.env.SPHERENET_BINDING === undefined) {
  if (!run(process.execPath, [join(root, 'scripts/build-native.mjs')])) {
    console.log('0 passed, 1 failed');
    process.exit(1);
  }
}
mkdirSync(folder, { recursive: true });
const native = process.env.SPHERENET_BINDING === undefined ? runNativeTests() : { passed: 0, failed: 0 };
const jest = runJest();
const passed = native.passed + jest.passed;
const failed = native.failed + jest.failed;
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
