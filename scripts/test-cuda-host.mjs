// `npm run test:cuda-host`: the CUDA kernels, executed on the CPU (test/cuda-on-host). Builds the addon with them, then
// runs the programs of test/cuda-on-host and, on device cuda, the tests of jest, each under two schedules: together they
// show every missing barrier and every missing wait.
//   --sanitize           with the address and undefined-behaviour sanitizers: the programs and the tests of the ops
//   --seed=7             of the order in which threads run, default 1
//   test/ops gradient    only what has one of these in its path
// The last line is `N passed, N failed`; each program counts as one in each schedule.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { buildOnHost } from './cuda-on-host.mjs';
import { filesUnder, listedSources } from './sources.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values: options, positionals: patterns } = parseArgs({
  allowPositionals: true,
  options: { sanitize: { type: 'boolean', default: false }, seed: { type: 'string', default: '1' } },
});

const build = join(root, options.sanitize ? 'build/CudaHostSanitize' : 'build/CudaHost');
const folder = join(build, 'test');

const SCHEDULES = [
  { CUDA_HOST_ORDER: 'greedy', CUDA_HOST_COPIES: 'wait' },
  { CUDA_HOST_ORDER: 'random', CUDA_HOST_COPIES: 'issue' },
];
/** Does on its own what differs between schedules. */
const ONCE = ['emulator_test'];
/** What computes on tensors. */
const SUITES = ['ops', 'losses', 'nn', 'optim', 'models', 'train', 'core'].map((name) => `test/${name}/`);
/** Too large for an emulator, and without kernels that the other tests do not run. */
const CPU_ONLY = ['deep_nets', 'parameter_counts'].map((name) => `test/models/${name}.test.ts`);
/** What asks for the device by itself, and for faults of it. */
const DEVICE_SUITES = ['test/core/cuda.test.ts', 'test/faults/cuda.test.ts'];

const isWanted = (path) => patterns.length === 0 || patterns.some((pattern) => path.includes(pattern));
const run = (command, args, env) =>
  spawnSync(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } }).status === 0;

const count = { passed: 0, failed: 0 };
const started = Date.now();
function section(title) {
  console.log(`\n--- ${title} (at ${((Date.now() - started) / 1000).toFixed(0)} s)`);
}

/** The addon's object files, without the Node-API layer. */
function addonObjects() {
  const sources = [
    ...listedSources().filter((source) => !/^native\/(napi|no_cuda)/.test(source)),
    ...filesUnder('test/cuda-on-host/runtime', (file) => file.endsWith('.cc')),
  ];
  return sources.map((source) => join(build, 'CMakeFiles/spherenet.dir', `${source}.o`));
}

/** x_test.cc, compiled with every other source whose name begins with x_, or null. */
async function compiled(test) {
  const prefix = test.slice(0, -'test.cc'.length);
  const sources = filesUnder(
    'test/cuda-on-host',
    (file) => /\.(cc|cu)$/.test(file) && file.startsWith(prefix),
  );
  const program = join(folder, basename(test, '.cc'));
  const ok = await buildOnHost(sources, program, {
    sanitize: options.sanitize,
    folder: join(folder, 'objects'),
    objects: addonObjects(),
  });
  return ok ? program : null;
}

async function runPrograms(schedules) {
  const tests = filesUnder('test/cuda-on-host', (file) => file.endsWith('_test.cc')).filter(isWanted);
  for (const test of tests) {
    section(test);
    const program = await compiled(test);
    for (const schedule of ONCE.includes(basename(test, '.cc')) ? [{}] : schedules) {
      const ok = program !== null && run(program, [], { ...sanitizerOptions(), ...schedule });
      if (!ok) console.log(`FAILED: ${test} ${JSON.stringify(schedule)}`);
      if (ok) count.passed += 1;
      else count.failed += 1;
    }
  }
}

function sanitizerOptions() {
  if (!options.sanitize) return {};
  // CUDA's memory is let go with the process: leaks are looked for elsewhere.
  return {
    ASAN_OPTIONS: 'detect_leaks=0',
    UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
    SPHERENET_CUDA_CACHE: '0', // a step outside of a tensor must not end in its neighbour
  };
}

/** The sanitizers have to be in the process before Node is. */
function preloaded() {
  if (!options.sanitize) return {};
  const library = (name) =>
    spawnSync(process.env.CXX ?? 'g++', [`-print-file-name=${name}`], { encoding: 'utf8' }).stdout.trim();
  return { LD_PRELOAD: `${library('libasan.so')} ${library('libstdc++.so')}` };
}

function runJest(paths, env) {
  const files = filesUnder('test', (file) => file.endsWith('.test.ts') && paths(file)).filter(isWanted);
  if (files.length === 0) return;
  section(`jest, ${JSON.stringify(env)}`);
  const report = join(folder, 'jest.json');
  rmSync(report, { force: true });
  const jest = join(root, 'node_modules/jest/bin/jest.js');
  const ok = run(process.execPath, [jest, '--json', `--outputFile=${report}`, '--runTestsByPath', ...files], {
    SPHERENET_BINDING: join(build, 'spherenet.node'),
    ...sanitizerOptions(),
    ...preloaded(),
    ...env,
  });
  if (!existsSync(report)) {
    count.failed += 1;
    return;
  }
  const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites } = JSON.parse(
    readFileSync(report, 'utf8'),
  );
  const failed = numFailedTests + numRuntimeErrorTestSuites;
  count.passed += numPassedTests;
  count.failed += ok ? failed : Math.max(failed, 1);
}

process.env.CUDA_HOST_SEED = options.seed;
// Jest has two workers: one thread for blocks each would do on two processors, but two let blocks run at once.
process.env.SPHERENET_THREADS ??= String(Math.max(2, Math.ceil(availableParallelism() / 2)));
const flags = options.sanitize ? ['--cuda-host', '--sanitize'] : ['--cuda-host'];
const isBuilt = run(process.execPath, [join(root, 'scripts/build-native.mjs'), ...flags]);
// An op that is declared and not there shows only now.
const loads = () => run(process.execPath, ['-e', `require('${join(build, 'spherenet.node')}')`], preloaded());
if (!isBuilt || !loads()) {
  console.log('0 passed, 1 failed');
  process.exit(1);
}
mkdirSync(folder, { recursive: true });
const schedules = options.sanitize ? SCHEDULES.slice(0, 1) : SCHEDULES;
await runPrograms(schedules);
const suites = options.sanitize ? SUITES.slice(0, 1) : SUITES;
const elsewhere = [...DEVICE_SUITES, ...CPU_ONLY];
for (const schedule of schedules) {
  runJest((file) => suites.some((suite) => file.startsWith(suite)) && !elsewhere.includes(file), {
    SPHERENET_TEST_DEVICE: 'cuda',
    SPHERENET_PRECISION: 'float32',
    ...schedule,
  });
}
// They watch the cache of device memory, too.
runJest((file) => DEVICE_SUITES.includes(file), { SPHERENET_CUDA_CACHE: '1' });
section('done');
console.log(`${count.passed} passed, ${count.failed} failed`);
process.exitCode = count.failed > 0 || count.passed === 0 ? 1 : 0;
