// `npm run gpu:bundle`: packs what bench/gpu/run.sh needs on a machine with an NVIDIA GPU into build/gpu-bundle.
//   --arch 90          compute capabilities to compile for, several as 80,90
//   --addon FILE       packs this addon instead of building one
//   --cudnn FOLDER     where cudnn.h lies, to compile cuDNN's baseline; by default it is looked for, then fetched
//   --no-baseline      leaves the baseline to the GPU machine
//   --out FOLDER       instead of build/gpu-bundle
// The addon is built in build/gpu-<arch>; Node, compressed, and cuDNN's headers are kept in .cache/gpu.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);
const cache = join(root, '.cache/gpu');

/** What the bundle may weigh. */
const MOST_BYTES = 55e6;
/** What dist needs at run time, as far as the stages use it; the command line and the report's charts are left out. */
const PACKAGES = ['cli-progress'];
const LEFT_OUT = [
  /^dist\/cli\//,
  /^dist\/experiments\/report\/(charts|html|page|pictures|sections|style|index)\./,
];

const { values: options } = parseArgs({
  options: {
    arch: { type: 'string', default: '90' },
    addon: { type: 'string' },
    cudnn: { type: 'string' },
    'no-baseline': { type: 'boolean', default: false },
    out: { type: 'string', default: 'build/gpu-bundle' },
  },
});
const out = join(root, options.out);

function stop(message) {
  console.error(`gpu:bundle: ${message}`);
  process.exit(1);
}

/** Runs a program; answers what it wrote, or null where it failed and may. */
function run(command, args, { mayFail = false, ...more } = {}) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28, ...more });
  if (result.status === 0) return result.stdout ?? '';
  if (mayFail) return null;
  console.error(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  return stop(
    `${basename(command)} ${args[0] ?? ''} failed${result.error ? `: ${result.error.message}` : ''}`,
  );
}

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

function sizeOf(path) {
  if (!statSync(path).isDirectory()) return statSync(path).size;
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
}

function buildAddon() {
  if (options.addon) return join(process.cwd(), options.addon);
  if (run('nvcc', ['--version'], { mayFail: true }) === null) {
    stop(
      'nvcc was not found: the addon for a GPU is built where CUDA 12 or newer is (or give one with --addon)',
    );
  }
  const architectures = options.arch.replaceAll(',', ';');
  const folder = `build/gpu-${options.arch.replaceAll(/[,;]/g, '-')}`;
  const definitions = {
    SPHERENET_CUDA: 'ON',
    CMAKE_CUDA_ARCHITECTURES: architectures,
    CMAKE_LIBRARY_OUTPUT_DIRECTORY: join(root, folder, 'addon'),
  };
  const jobs = process.env.JOBS ?? String(availableParallelism());
  console.log(`gpu:bundle: building the addon for compute capability ${options.arch} in ${folder}`);
  run(process.execPath, [
    require.resolve('cmake-js/bin/cmake-js'),
    ...['build', '--out', folder, '--config', 'Release', '--parallel', jobs],
    ...Object.entries(definitions).map(([name, value]) => `--CD${name}=${value}`),
  ]);
  return join(root, folder, 'addon/spherenet.node');
}

/** The running Node without what only debuggers read, compressed. */
function packedNode() {
  const packed = join(cache, `node-${process.version}.xz`);
  if (existsSync(packed)) return packed;
  console.log('gpu:bundle: compressing Node');
  const stripped = join(cache, 'node');
  cpSync(process.execPath, stripped);
  run('strip', [stripped], { mayFail: true });
  run('xz', ['-9', '--threads=0', '--force', stripped]);
  cpSync(`${stripped}.xz`, packed);
  rmSync(`${stripped}.xz`);
  return packed;
}

/** The shared libraries of a program whose names begin so. */
function librariesOf(program, names) {
  return (run('ldd', [program], { mayFail: true }) ?? '')
    .split('\n')
    .map((line) => /=> (\S+)/.exec(line)?.[1])
    .filter((path) => path && names.some((name) => basename(path).startsWith(name)));
}

function packNode() {
  cpSync(packedNode(), join(out, 'node.xz'));
  // For machines without xz, or with an older C++ library.
  const xz = run('sh', ['-c', 'command -v xz'], { mayFail: true })?.trim();
  if (!xz) stop('xz was not found. Debian, Ubuntu: sudo apt-get install xz-utils');
  cpSync(xz, join(out, 'xz'), { dereference: true });
  const libraries = [
    ...librariesOf(xz, ['liblzma']),
    ...librariesOf(process.execPath, ['libstdc++', 'libgcc_s']),
  ];
  for (const library of libraries)
    cpSync(library, join(out, 'lib', basename(library)), { dereference: true });
}

/** A package and what it depends on. */
function closure(name, found = new Set()) {
  if (found.has(name)) return found;
  found.add(name);
  const path = join(root, 'node_modules', name, 'package.json');
  const { dependencies = {} } = JSON.parse(readFileSync(path, 'utf8'));
  for (const dependency of Object.keys(dependencies)) closure(dependency, found);
  return found;
}

function packJavaScript() {
  run('npm', ['run', '--silent', 'build:ts']);
  run('npm', ['run', '--silent', 'build:bench']);
  const keep = (source) => {
    const path = source.slice(root.length).replaceAll('\\', '/');
    return !path.endsWith('.d.ts') && !LEFT_OUT.some((pattern) => pattern.test(path));
  };
  cpSync(join(root, 'dist'), join(out, 'dist'), { recursive: true, filter: keep });
  const { name, version, main, exports, imports, type } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  );
  writeFileSync(
    join(out, 'package.json'),
    `${JSON.stringify({ name, version, type, main, exports, imports })}\n`,
  );
  for (const dependency of PACKAGES.flatMap((name) => [...closure(name)])) {
    const filter = (source) => !/\/(test|tests|examples|docs)$/.test(source);
    cpSync(join(root, 'node_modules', dependency), join(out, 'node_modules', dependency), {
      recursive: true,
      filter,
    });
  }
}

/** A folder with cudnn.h, or null. */
function cudnnHeaders() {
  const kept = join(cache, 'cudnn/nvidia/cudnn/include');
  const places = [
    options.cudnn,
    process.env.CUDNN_INCLUDE_PATH,
    '/usr/include',
    '/usr/local/cuda/include',
    kept,
  ];
  const found = places.find((place) => place && existsSync(join(place, 'cudnn.h')));
  if (found) return found;
  if (options.cudnn) stop(`--cudnn: there is no cudnn.h in ${options.cudnn}`);
  console.log('gpu:bundle: fetching the headers of cuDNN (nvidia-cudnn-cu13, 550 MB, of which 1 MB is kept)');
  const folder = join(cache, 'cudnn');
  const pip = ['-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', folder, 'nvidia-cudnn-cu13'];
  if (run('python3', pip, { mayFail: true }) === null) return null;
  for (const wheel of readdirSync(folder).filter((file) => file.endsWith('.whl'))) {
    const code =
      'import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\n' +
      'z.extractall(sys.argv[2], [n for n in z.namelist() if n.endswith(".h")])';
    run('python3', ['-c', code, join(folder, wheel), folder], { mayFail: true });
    rmSync(join(folder, wheel));
  }
  return existsSync(join(kept, 'cudnn.h')) ? kept : null;
}

function packBaseline() {
  const sources = ['cudnn_baseline.cc', 'cudnn_library.h', 'cudnn_plans.h'];
  for (const source of sources) cpSync(join(root, 'bench/gpu', source), join(out, source));
  const headers = options['no-baseline'] ? null : cudnnHeaders();
  const program = join(out, 'cudnn_baseline');
  const args = ['-std=c++20', '-O2', '-o', program, join(out, 'cudnn_baseline.cc'), '-ldl'];
  const flags = ['-Xcompiler', '-static-libstdc++,-static-libgcc'];
  if (headers && run('nvcc', [...args, ...flags, '-I', headers], { mayFail: true }) !== null) {
    run('strip', [program], { mayFail: true });
    return `compiled with ${headers}`;
  }
  return 'as source only: it needs nvcc and cudnn.h where it is to run';
}

function pack() {
  const addon = buildAddon();
  if (!existsSync(addon)) stop(`there is no addon ${addon}`);
  rmSync(out, { recursive: true, force: true });
  for (const folder of [join(out, 'lib'), cache]) mkdirSync(folder, { recursive: true });
  cpSync(addon, join(out, 'spherenet.node'));
  packJavaScript();
  packNode();
  for (const folder of ['data/fashion-mnist', 'test/fixtures']) {
    const filter = (source) => !source.endsWith('.py');
    cpSync(join(root, folder), join(out, folder), { recursive: true, filter });
  }
  for (const file of ['run.sh', 'peers.py', 'README.md'])
    cpSync(join(root, 'bench/gpu', file), join(out, file));
  const baseline = packBaseline();
  const git = (...args) => run('git', args, { mayFail: true })?.trim() ?? '';
  const manifest = {
    made: new Date().toISOString(),
    commit: git('rev-parse', 'HEAD'),
    changed: git('status', '--porcelain', '--untracked-files=no') !== '',
    ...{
      architectures: options.arch,
      node: process.version,
      platform: process.platform,
      cpu: process.arch,
      baseline,
    },
    nvcc: /release [^\n]*/.exec(run('nvcc', ['--version'], { mayFail: true }) ?? '')?.[0] ?? '',
  };
  writeFileSync(join(out, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);

  const total = sizeOf(out);
  for (const name of readdirSync(out))
    console.log(`  ${name.padEnd(18)} ${megabytes(sizeOf(join(out, name)))}`);
  console.log(`cuDNN's baseline ${baseline}`);
  console.log(`gpu:bundle: ${options.out}, ${megabytes(total)} of at most ${megabytes(MOST_BYTES)}`);
  if (total > MOST_BYTES) stop('the bundle is too large');
}

pack();
