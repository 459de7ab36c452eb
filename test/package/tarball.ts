/** Makes the tarball of the package as `npm run package` does and installs it as a user does who has nothing else. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

export const ROOT = resolve(__dirname, '../..');

export interface Outcome {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** Runs a program with these variables only. */
export function runIn(
  cwd: string,
  env: Record<string, string>,
  program: string,
  args: readonly string[],
  ids: { uid?: number; gid?: number } = {},
): Outcome {
  const { status, signal, stdout, stderr, error } = spawnSync(program, args, {
    ...{ cwd, env, encoding: 'utf8', maxBuffer: 1 << 26 },
    ...ids,
  });
  if (error) throw error;
  return { status, signal, stdout, stderr };
}

/** The addon to pack: what the tests run with. */
export function testedAddon(): string {
  return resolve(process.env['SPHERENET_BINDING'] ?? join(ROOT, 'build/Release/spherenet.node'));
}

export interface Tarball {
  path: string;
  bytes: number;
  /** Names of what is in it, without the leading 'package/'. */
  files: string[];
}

export function makeTarball(out: string): Tarball {
  const args = ['scripts/package.mjs', '--cpu-only', '--addon', testedAddon(), '--out', out];
  const made = runIn(ROOT, process.env as Record<string, string>, process.execPath, args);
  if (made.status !== 0) throw new Error(`npm run package failed:\n${made.stdout}${made.stderr}`);
  const name = readdirSync(out).find((file) => file.endsWith('.tgz'))!;
  const path = join(out, name);
  const list = spawnSync('tar', ['tzf', path], { encoding: 'utf8' }).stdout.trim().split('\n');
  const bytes = readFileSync(path).length;
  return { path, bytes, files: list.map((file) => file.replace(/^package\//, '')) };
}

interface Manifest {
  version: string;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  scripts?: Record<string, string>;
}

export function manifestOf(name: string): Manifest {
  const path = join(ROOT, 'node_modules', name, 'package.json');
  return JSON.parse(readFileSync(path, 'utf8')) as Manifest;
}

/** The runtime dependencies, and theirs, as far as they are for this platform. */
export function runtimeDependencies(): string[] {
  const found = new Set<string>();
  const add = (name: string): void => {
    if (found.has(name) || !existsSync(join(ROOT, 'node_modules', name))) return;
    found.add(name);
    const { dependencies, optionalDependencies } = manifestOf(name);
    Object.keys({ ...dependencies, ...optionalDependencies }).forEach(add);
  };
  const own = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;
  Object.keys(own.dependencies ?? {}).forEach(add);
  return [...found];
}

/**
 * Packs the dependencies from node_modules, as there is no registry in the test. Source maps, most of their weight, stay
 * behind.
 */
function packDependencies(folder: string): string[] {
  mkdirSync(folder);
  return runtimeDependencies().map((name) => {
    const path = join(folder, `${name.replace('@', '').replace('/', '-')}.tar`);
    const from = join(ROOT, 'node_modules', name);
    const omitted = ['--exclude=./node_modules', '--exclude=*.map'];
    const tar = ['cf', path, '--transform', 's,^\\.,package,', ...omitted, '-C', from, '.'];
    if (spawnSync('tar', tar, { stdio: 'inherit' }).status !== 0) throw new Error(`tar failed for ${name}`);
    return path;
  });
}

/** npm's own program; the environment of the test has none on its path. */
function npmProgram(): string {
  const named = process.env['npm_execpath'];
  if (named?.endsWith('.js')) return named;
  const { stdout } = spawnSync('npm', ['root', '-g'], { encoding: 'utf8' });
  return join(stdout.trim(), 'npm/bin/npm-cli.js');
}

export class Installation {
  readonly tarball: Tarball;
  /** The folder whose node_modules holds the package. */
  readonly folder: string;
  readonly packageFolder: string;
  /** Node is on the path, and nothing else: no compiler, no Python, no CUDA. */
  readonly env: Record<string, string>;
  /** Of npm alone, in seconds. */
  readonly seconds: number;
  private readonly root = mkdtempSync(join(tmpdir(), 'spherenet-package-'));

  constructor() {
    const [bin, home, folder] = ['bin', 'home', 'app'].map((name) => join(this.root, name)) as [
      string,
      string,
      string,
    ];
    [bin, home, folder].forEach((name) => mkdirSync(name));
    symlinkSync(process.execPath, join(bin, 'node'));
    this.folder = folder;
    this.packageFolder = join(folder, 'node_modules/spherenet');
    this.env = { PATH: bin, HOME: home };
    this.tarball = makeTarball(join(this.root, 'made'));
    const dependencies = packDependencies(join(this.root, 'dependencies'));
    const options = ['--offline', '--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier'];
    const cache = `--cache=${join(this.root, 'cache')}`;
    const args = [npmProgram(), 'install', ...options, cache, this.tarball.path, ...dependencies];
    const begin = performance.now();
    const installed = runIn(folder, this.env, process.execPath, args);
    this.seconds = (performance.now() - begin) / 1000;
    if (installed.status !== 0) throw new Error(`npm install failed:\n${installed.stderr}`);
  }

  /** Runs a file of JavaScript, or Node with these arguments, in the folder. */
  node(args: readonly string[], env: Record<string, string> = {}): Outcome {
    return runIn(this.folder, { ...this.env, ...env }, process.execPath, args);
  }

  /** `npx spherenet …` */
  spherenet(args: readonly string[], env: Record<string, string> = {}): Outcome {
    return this.node([join(this.folder, 'node_modules/.bin/spherenet'), ...args], env);
  }

  /** Everything on the way to the installation may be read by other users. */
  get parents(): string[] {
    return [this.root, dirname(this.root)];
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}
