// `npm run package`: the release tarball, build/package/spherenet-<version>.tgz, with the addon of this platform in
// prebuilds/. On linux-x64 that is one addon for the CPU and every GPU architecture; elsewhere the CPU's.
//   --addon FILE     packs this addon instead of building one
//   --cpu-only       an addon without CUDA will do on linux-x64 as well (for tests)
//   --prebuilds DIR  packs the addons of other platforms as well, with their stamps, from packages made there
//   --out DIR        instead of build/package
// The package is put together in <out>/spherenet: not from the checkout, because binding.gyp in a package's root
// makes `npm ci` run node-gyp, and because prepare and the tools it needs are the checkout's.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
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
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { FLOORS, measureFloors, risenFloors } from './floors.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** What the tarball may weigh. */
const MOST_BYTES = 15e6;

const { values: options } = parseArgs({
  options: {
    addon: { type: 'string' },
    'cpu-only': { type: 'boolean', default: false },
    prebuilds: { type: 'string' },
    out: { type: 'string', default: 'build/package' },
  },
});
const out = resolve(root, options.out);
const stage = join(out, manifest.name);

function stop(message) {
  console.error(`package: ${message}`);
  process.exit(1);
}

function run(command, args, settings = {}) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26, ...settings });
  if (result.status === 0) return result.stdout;
  console.error(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  return stop(
    `${basename(command)} ${args[0] ?? ''} failed: ${result.error?.message ?? result.signal ?? result.status}`,
  );
}

/** 'linux-x64', 'linux-arm64-musl', as ts/core/loader.ts names it. */
function platformName() {
  const musl = process.platform === 'linux' && !process.report.getReport().header.glibcVersionRuntime;
  return `${process.platform}-${process.arch}${musl ? '-musl' : ''}`;
}
const platform = platformName();
const wantsCuda = platform === 'linux-x64' && !options['cpu-only'];

function addonFile() {
  if (options.addon !== undefined) {
    const path = resolve(options.addon);
    return existsSync(path) ? path : stop(`--addon: there is no ${path}`);
  }
  run(process.execPath, ['scripts/build-native.mjs', wantsCuda ? '--release-cuda' : '--no-cuda'], {
    stdio: 'inherit',
  });
  return join(root, 'build/Release/spherenet.node');
}

/** What the addon says of itself, asked in a process of its own. */
function buildInfo(addon) {
  const program =
    'const m = { exports: {} }; process.dlopen(m, process.argv[1]); console.log(JSON.stringify(m.exports.build ?? {}))';
  return JSON.parse(run(process.execPath, ['-e', program, addon]));
}

/** The list of CMakeLists.txt. */
function releaseArchitectures() {
  const list = /if\(SPHERENET_CUDA_RELEASE\)\s+set\(architectures "([^"]+)"\)/;
  return list.exec(readFileSync(join(root, 'CMakeLists.txt'), 'utf8'))[1].replaceAll(';', ' ');
}

function checkBuild(addon) {
  const { version, nodeApi, cuda, architectures } = buildInfo(addon);
  if (version !== manifest.version) {
    stop(
      `${addon} was built for ${manifest.name} ${version ?? 'of another kind'}, and this is ${manifest.version}`,
    );
  }
  if (wantsCuda && architectures !== releaseArchitectures()) {
    const holds = architectures === '' ? 'is for the CPU only' : `holds the kernels for ${architectures}`;
    stop(
      `${addon} ${holds}; a release has those for ${releaseArchitectures()} (build:native -- --release-cuda)`,
    );
  }
  return { version, nodeApi, cuda, architectures };
}

function stampOf(addon) {
  const build = checkBuild(addon);
  const measured = platform.startsWith('linux') ? measureFloors(addon) : { glibc: null };
  if (platform === 'linux-x64') {
    for (const fault of risenFloors(measured)) stop(`${addon} ${fault} (scripts/floors.mjs, README)`);
  }
  const content = readFileSync(addon);
  const sha256 = createHash('sha256').update(content).digest('hex');
  // What symbols need is 2.34 on Debian 12; a floor is what was promised.
  const glibc = platform === 'linux-x64' ? FLOORS.glibc : (measured.glibc ?? null);
  return { ...build, glibc, bytes: content.length, sha256 };
}

function stagePrebuilds() {
  const folder = join(stage, 'prebuilds');
  mkdirSync(folder);
  if (options.prebuilds !== undefined) cpSync(resolve(options.prebuilds), folder, { recursive: true });
  const addon = addonFile();
  cpSync(addon, join(folder, `${platform}.node`));
  writeFileSync(join(folder, `${platform}.json`), `${JSON.stringify(stampOf(addon), null, 2)}\n`);
}

/** The manifest of an installed package: nothing of the checkout's tools, and one script, which builds from source. */
function stageManifest() {
  const published = { ...manifest, scripts: { 'build:native': manifest.scripts['build:native'] } };
  for (const key of ['private', 'gypfile', 'devDependencies']) delete published[key];
  writeFileSync(join(stage, 'package.json'), `${JSON.stringify(published, null, 2)}\n`);
}

function stageFiles() {
  const made = ['dist', 'prebuilds'];
  for (const entry of [...manifest.files, 'README.md', 'LICENSE'].filter((name) => !made.includes(name))) {
    // Peers may have been installed there.
    const filter = (source) => basename(source) !== 'node_modules';
    cpSync(join(root, entry), join(stage, entry), { recursive: true, filter });
  }
  // Put back by build-native.mjs when the package is to be built.
  cpSync(join(root, 'binding.gyp'), join(stage, 'native/binding.gyp'));
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  run(process.execPath, [compiler, '-p', 'tsconfig.build.json', '--outDir', join(stage, 'dist')]);
}

function sizeOf(path) {
  if (!statSync(path).isDirectory()) return statSync(path).size;
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
}

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(2)} MB`;

function pack() {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(stage, { recursive: true });
  stageManifest();
  stageFiles();
  stagePrebuilds();
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const [{ filename, size, entryCount }] = JSON.parse(
    run(npm, ['pack', '--json', '--ignore-scripts', '--pack-destination', out], { cwd: stage }),
  );
  for (const name of readdirSync(stage))
    console.log(`  ${name.padEnd(16)} ${megabytes(sizeOf(join(stage, name)))}`);
  const tarball = join(out, filename);
  console.log(
    `package: ${tarball}, ${entryCount} files, ${megabytes(size)} of at most ${megabytes(MOST_BYTES)}`,
  );
  if (size > MOST_BYTES) stop('the tarball is too large');
}

pack();
