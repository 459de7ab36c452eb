// Compiles C++ and CUDA sources for execution on the CPU (test/cuda-on-host) and links them with what executes them.
//   node scripts/cuda-on-host.mjs [--sanitize] [--folder build/cuda-on-host] --out program [--run] source...
//   --sanitize   with the address and undefined-behaviour sanitizers
//   --folder     where object files are kept; what is up to date is not compiled again
//   --partial    links although functions are missing: those must not be called
//   --run        runs the program as well
// JOBS=1 in the environment limits the compilers that run at once.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { filesUnder } from './sources.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const compiler = process.env.CXX ?? 'c++';
const jobs = Number(process.env.JOBS) || availableParallelism();

const COMMON = [
  '-std=c++20',
  '-pthread',
  '-Wall',
  '-Wextra',
  '-Wno-unknown-pragmas',
  '-Wno-maybe-uninitialized',
  '-Wno-uninitialized',
  '-fno-math-errno',
];
const PLAIN = ['-O2'];
const SANITIZE = [
  '-O1',
  '-g1',
  '-fno-omit-frame-pointer',
  '-fsanitize=address,undefined',
  '-fno-sanitize-recover=undefined',
];

const timeOf = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);

/** What the compiler wrote about the files an object was made from. */
function dependencies(file) {
  if (!existsSync(file)) return null;
  const text = readFileSync(file, 'utf8').replaceAll('\\\n', ' ');
  return text
    .slice(text.indexOf(':') + 1)
    .split(/\s+/)
    .filter((name) => name !== '');
}

function isCurrent(object) {
  const from = dependencies(`${object}.d`);
  const time = timeOf(object);
  return from !== null && time > 0 && from.every((file) => existsSync(file) && timeOf(file) < time);
}

function compile(source, object, flags) {
  mkdirSync(dirname(object), { recursive: true });
  // Under another name first: an interrupted compiler, or two at once, must not leave half an object.
  const fresh = `${object}.${process.pid}`;
  const language = source.endsWith('.cu') ? ['-x', 'c++'] : [];
  // Matrix products of the runtime are worth the time that this takes.
  const effort = source.includes('cuda-on-host/runtime') && flags === PLAIN ? ['-O3'] : [];
  const include = `-I${join(root, 'test/cuda-on-host/include')}`;
  const args = [
    ...COMMON,
    ...flags,
    ...effort,
    include,
    '-MMD',
    '-MF',
    `${fresh}.d`,
    ...language,
    '-c',
    source,
    '-o',
    fresh,
  ];
  return new Promise((done) => {
    spawn(compiler, args, { cwd: root, stdio: 'inherit' }).on('close', (code) => {
      if (code === 0) {
        renameSync(`${fresh}.d`, `${object}.d`);
        renameSync(fresh, object);
      } else {
        rmSync(`${fresh}.d`, { force: true });
        rmSync(fresh, { force: true });
      }
      done(code === 0);
    });
  });
}

/** Files of test/cuda-on-host/runtime: what executes the kernels. */
const runtimeSources = () => filesUnder('test/cuda-on-host/runtime', (file) => file.endsWith('.cc'));

/**
 * Compiles what is stale and links it. Sources are relative to the repository, or absolute.
 * @param options.objects already compiled, the runtime among them; without them it is compiled too
 * @param options.partial links although functions are missing
 * @returns whether all of it went well
 */
export async function buildOnHost(
  sources,
  program,
  { sanitize = false, partial = false, folder = 'build/cuda-on-host', objects = null } = {},
) {
  const flags = sanitize ? SANITIZE : PLAIN;
  const units = [...new Set([...(objects ? [] : runtimeSources()), ...sources])].map((source) => {
    const path = resolve(root, source);
    const name = relative(root, path).replaceAll('..', 'outside');
    return { path, object: resolve(root, folder, sanitize ? 'sanitize' : 'plain', `${name}.o`) };
  });
  const stale = units.filter(({ object }) => !isCurrent(object));
  let succeeded = true;
  const worker = async () => {
    for (let unit; (unit = stale.shift()) !== undefined;) {
      if (!(await compile(unit.path, unit.object, flags))) succeeded = false;
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  if (!succeeded) return false;
  const output = resolve(root, program);
  const parts = [...units.map(({ object }) => object), ...(objects ?? [])];
  if (timeOf(output) > Math.max(...parts.map(timeOf))) return true;
  mkdirSync(dirname(output), { recursive: true });
  const missing = partial ? ['-no-pie', '-Wl,--unresolved-symbols=ignore-all'] : [];
  const link = spawnSync(compiler, ['-pthread', ...flags, '-o', output, ...parts, '-ldl', ...missing], {
    stdio: 'inherit',
  });
  return link.status === 0;
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      sanitize: { type: 'boolean', default: false },
      partial: { type: 'boolean', default: false },
      folder: { type: 'string', default: 'build/cuda-on-host' },
      out: { type: 'string' },
      run: { type: 'boolean', default: false },
    },
  });
  if (values.out === undefined || positionals.length === 0) {
    console.error(
      'usage: node scripts/cuda-on-host.mjs [--sanitize] [--folder folder] --out program [--run] source...',
    );
    process.exit(2);
  }
  if (!(await buildOnHost(positionals, values.out, values))) process.exit(1);
  if (values.run) process.exit(spawnSync(resolve(root, values.out), { stdio: 'inherit' }).status ?? 1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
