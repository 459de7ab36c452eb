// Builds the native addon, build/Release/spherenet.node: with cmake-js where CMake is found, else with node-gyp.
//   --gyp        node-gyp and binding.gyp (CPU only)
//   --no-cuda    cmake-js without the CUDA backend, even where nvcc is found
//   --release-cuda   the kernels for every GPU architecture; without it for the oldest only, whose PTX the driver
//                compiles on newer GPUs
//   --cuda-architectures=90   the kernels for these, as CMAKE_CUDA_ARCHITECTURES names them
//   --cuda-host  build/CudaHost/spherenet.node, whose CUDA kernels run on the CPU (test/cuda-on-host); with --sanitize
//                build/CudaHostSanitize/spherenet.node
//   --debug      build/Debug/spherenet.node, unoptimised
//   --sanitize   build/Sanitize/spherenet.node, with the address and undefined-behaviour sanitizers
// In an installed package, which has neither tool: node-gyp comes with npm, and cmake-js is fetched by npm where it gains
// something, that is where the CUDA toolkit is.
// What is up to date is not built again. A build folder belongs to one tool and one set of options: it is
// removed when they change, so that no mixture of two builds can be left behind. JOBS=1 in the environment limits
// the compilers that run at once; without it there are as many as processors.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);
const jobs = Number(process.env.JOBS) || availableParallelism();
const started = Date.now();

const { values: options } = parseArgs({
  options: {
    gyp: { type: 'boolean', default: false },
    'no-cuda': { type: 'boolean', default: false },
    'release-cuda': { type: 'boolean', default: false },
    'cuda-architectures': { type: 'string' },
    'cuda-host': { type: 'boolean', default: false },
    debug: { type: 'boolean', default: false },
    sanitize: { type: 'boolean', default: false },
  },
});

function stop(message) {
  console.error(`native: ${message}`);
  process.exit(1);
}

const answers = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;

function requireTools(usesCMake) {
  const compilers = [process.env.CXX?.split(' ')[0], 'c++', 'g++', 'clang++'].filter(Boolean);
  const missing = [];
  if (!compilers.some(answers)) missing.push('a C++20 compiler (g++ 11 or clang 14, or newer)');
  if (!answers('make') && !(usesCMake && answers('ninja'))) missing.push('make');
  const pythons = [process.env.npm_config_python, process.env.PYTHON, 'python3', 'python'].filter(Boolean);
  if (!usesCMake && !pythons.some(answers)) missing.push('Python 3');
  if (missing.length === 0) return;
  stop(
    `cannot build the addon: ${missing.join(' and ')} not found.\n` +
      '  Debian, Ubuntu: sudo apt-get install g++ make cmake python3\n' +
      '  Fedora:         sudo dnf install gcc-c++ make cmake python3\n' +
      '  macOS:          xcode-select --install',
  );
}

/** The file of a development dependency, or null in an installed package. */
function development(file) {
  try {
    return require.resolve(file);
  } catch {
    return null;
  }
}

const CMAKE_JS = development('cmake-js/bin/cmake-js');

/** What starts cmake-js: its own file in a checkout; npm, which keeps it in its cache, elsewhere. */
function cmakeJs() {
  if (CMAKE_JS !== null) return [CMAKE_JS];
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const wanted = `--package=cmake-js@${devDependencies?.['cmake-js'] ?? '^8.0.0'}`;
  return [npmFile(), 'exec', '--yes', wanted, '--', 'cmake-js'];
}

/** npm's own file; `npm run` says which. */
function npmFile() {
  return process.env.npm_execpath ?? stop('start this as: npm run build:native');
}

/**
 * `npm --prefix <package> run` looks for the global npmrc in the package as well, so what is fetched is fetched without
 * the machine's proxy, registry and certificates. npm finds them when it is started in the folder.
 */
function startFromWithin() {
  const misled = /^npm_config_(prefix|global_prefix|local_prefix|globalconfig)$/i;
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !misled.test(name)));
  const command = [npmFile(), '--silent', 'run', 'build:native', '--', ...process.argv.slice(2)];
  process.exit(spawnSync(process.execPath, command, { cwd: root, env, stdio: 'inherit' }).status ?? 1);
}

/** node-gyp of a checkout, or the one that npm has for packages. */
function nodeGyp() {
  const own = development('node-gyp/bin/node-gyp.js') ?? process.env.npm_config_node_gyp;
  return own ?? stop('node-gyp was not found; start this as: npm run build:native');
}

/** The prefix of this Node installation if its headers lie beside it, so that none need be downloaded. */
function headersBesideNode() {
  const prefix = dirname(dirname(process.execPath));
  const include = join(prefix, 'include/node');
  if (!existsSync(join(include, 'common.gypi')) || !existsSync(join(include, 'node_version.h'))) return null;
  const header = readFileSync(join(include, 'node_version.h'), 'utf8');
  const part = (name) => new RegExp(`#define NODE_${name}_VERSION (\\d+)`).exec(header)?.[1];
  return ['MAJOR', 'MINOR', 'PATCH'].map(part).join('.') === process.versions.node ? prefix : null;
}

/** What to run, and where the addon will lie; paths are relative to the repository. */
function plan() {
  if (options.gyp) {
    if (options.debug || options.sanitize || options['cuda-host'])
      stop('--debug, --sanitize and --cuda-host need CMake, not --gyp');
    const prefix = headersBesideNode();
    const args = ['configure', 'build', ...(prefix ? [`--nodedir=${prefix}`] : [])];
    return {
      tool: 'node-gyp',
      command: [nodeGyp()],
      folder: 'build',
      addon: 'build/Release/spherenet.node',
      args,
    };
  }
  const variant =
    (options['cuda-host'] ? 'CudaHost' : '') + (options.sanitize ? 'Sanitize' : options.debug ? 'Debug' : '');
  const folder = variant === '' ? 'build' : `build/${variant}`;
  const addon = variant === '' ? 'build/Release' : folder;
  const definitions = {
    SPHERENET_CUDA: options['cuda-host'] ? 'HOST' : options['no-cuda'] ? 'OFF' : 'AUTO',
    SPHERENET_CUDA_RELEASE: options['release-cuda'] ? 'ON' : 'OFF',
    SPHERENET_SANITIZE: options.sanitize ? 'ON' : 'OFF',
    CMAKE_LIBRARY_OUTPUT_DIRECTORY: join(root, addon),
    ...(options['cuda-architectures'] ? { CMAKE_CUDA_ARCHITECTURES: options['cuda-architectures'] } : {}),
  };
  return {
    tool: 'cmake-js',
    command: cmakeJs(),
    folder,
    addon: `${addon}/spherenet.node`,
    args: [
      'build',
      ...['--out', folder, '--config', options.debug || options.sanitize ? 'Debug' : 'Release'],
      ...Object.entries(definitions).map(([name, value]) => `--CD${name}=${value}`),
    ],
  };
}

if (!options.gyp && !answers('cmake')) {
  if (options.debug || options.sanitize || options['cuda-host'])
    stop('--debug, --sanitize and --cuda-host need CMake, which was not found');
  console.log('native: CMake was not found, so node-gyp builds the addon, for the CPU only');
  options.gyp = true;
} else if (!options.gyp && CMAKE_JS === null && (options['no-cuda'] || !answers('nvcc'))) {
  options.gyp = true;
}
requireTools(!options.gyp);
if (resolve(process.env.npm_config_prefix ?? '') === resolve(root)) startFromWithin();

const { tool, command, folder, addon, args } = plan();
const folderPath = join(root, folder);
const addonPath = join(root, addon);
const stampPath = join(folderPath, 'configured-with.json');
// Node's version, because node-gyp's headers belong to it; nvcc, because CMake looks for it only once.
const stamp = JSON.stringify({ tool, args, root, node: process.version, nvcc: answers('nvcc') });

if (existsSync(folderPath) && (!existsSync(stampPath) || readFileSync(stampPath, 'utf8') !== stamp)) {
  rmSync(folderPath, { recursive: true });
}
mkdirSync(folderPath, { recursive: true });
writeFileSync(stampPath, stamp);

const megabytes = (path) => `${(statSync(path).size / 1e6).toFixed(1)} MB`;
const timeOf = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);
const before = timeOf(addonPath);
console.log(`native: ${before === 0 ? 'building' : 'updating'} ${addon} with ${tool}, ${jobs} jobs`);

// A package has it in native/: in its root it would make npm run node-gyp on every installation.
const packedGyp = join(root, 'native/binding.gyp');
const borrowsGyp = options.gyp && existsSync(packedGyp);
if (borrowsGyp) copyFileSync(packedGyp, join(root, 'binding.gyp'));
const result = spawnSync(
  process.execPath,
  [...command, ...args, options.gyp ? '--jobs' : '--parallel', String(jobs)],
  {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  },
);
if (borrowsGyp) rmSync(join(root, 'binding.gyp'));
const log = `${result.stdout}${result.stderr}`;
const logPath = join(folderPath, 'native.log');
const seconds = ((Date.now() - started) / 1000).toFixed(1);

if (result.status !== 0 || !existsSync(addonPath)) {
  writeFileSync(logPath, log);
  console.error(log);
  // A configuration that failed is not to be continued; one that only failed to compile is.
  if (!['Makefile', 'build.ninja'].some((file) => existsSync(join(folderPath, file)))) rmSync(stampPath);
  stop(
    `the build with ${tool} failed after ${seconds} s; the log is above and in ${relative(root, logPath)}`,
  );
}
if (timeOf(addonPath) === before) {
  console.log(`native: up to date (${seconds} s)`);
} else {
  writeFileSync(logPath, log);
  const warnings = log.split('\n').filter((line) => /\bwarning:/.test(line)).length;
  const note = warnings > 0 ? `, ${warnings} compiler warnings in ${relative(root, logPath)}` : '';
  console.log(`native: built ${addon} (${megabytes(addonPath)}) in ${seconds} s${note}`);
}
