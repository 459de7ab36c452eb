/** Finds the native addon, checks that it is this package's and whole, and loads it. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { SphereNetError } from './errors';
import { loadError } from './load_error';
import type { AddonOrigin, Attempt } from './load_error';

/** What an addon says of itself: `build` in native/napi/build_info.cc. */
export interface BuildInfo {
  /** Of the package it was built from. */
  version: string;
  /** The version of Node-API it needs. */
  nodeApi: number;
  /** Version of the CUDA toolkit, '13.0'; empty without CUDA. */
  cuda: string;
  /** As CMAKE_CUDA_ARCHITECTURES names them, '80-real 120'; empty without CUDA. */
  architectures: string;
}

/** What `npm run package` writes beside an addon in prebuilds/. */
export interface PrebuildStamp {
  version: string;
  nodeApi: number;
  bytes: number;
  sha256: string;
  /** The oldest glibc whose symbols suffice, '2.34'; null where none is used. */
  glibc: string | null;
}

export interface LoadedAddon {
  exports: unknown;
  path: string;
  origin: AddonOrigin;
  build: BuildInfo;
}

interface Candidate {
  path: string;
  origin: AddonOrigin;
}

/** Thrown by the checks below. */
class Refusal extends Error {
  constructor(
    readonly kind: Attempt['kind'],
    reason: string,
  ) {
    super(reason);
  }
}

/** Where the package lies: two folders above this file in a checkout, in an installed package and in the tests. */
export const PACKAGE_ROOT = resolve(__dirname, '..', '..');

/** Every prebuilt addon there can be, by literal path, so that bundlers and packers see them. */
const PREBUILDS: Readonly<Record<string, string>> = {
  'linux-x64': join(__dirname, '../../prebuilds/linux-x64.node'),
  'linux-arm64': join(__dirname, '../../prebuilds/linux-arm64.node'),
  'linux-x64-musl': join(__dirname, '../../prebuilds/linux-x64-musl.node'),
  'linux-arm64-musl': join(__dirname, '../../prebuilds/linux-arm64-musl.node'),
  'darwin-x64': join(__dirname, '../../prebuilds/darwin-x64.node'),
  'darwin-arm64': join(__dirname, '../../prebuilds/darwin-arm64.node'),
};

/** The version in package.json. */
export function packageVersion(root = PACKAGE_ROOT): string {
  return (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;
}

/** The version of glibc that runs, or null where there is none. */
export function glibcVersion(): string | null {
  if (process.platform !== 'linux') return null;
  // Or the report would look up the names of open connections.
  (process.report as { excludeNetwork?: boolean }).excludeNetwork = true;
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime ?? null;
}

/** 'linux-x64', 'linux-arm64-musl', 'darwin-arm64', … */
export function platformName(): string {
  const { platform, arch } = process;
  // Where musl's loader is not even there, the costlier question need not be asked.
  const musl = existsSync(`/lib/ld-musl-${arch === 'x64' ? 'x86_64' : 'aarch64'}.so.1`);
  return `${platform}-${arch}${platform === 'linux' && musl && glibcVersion() === null ? '-musl' : ''}`;
}

/** The addon's places, in the order they are tried. One that is asked for by name is not replaced by another. */
function candidates(): Candidate[] {
  const named = process.env['SPHERENET_BINDING'];
  if (named) return [{ path: resolve(named), origin: 'SPHERENET_BINDING' }];
  const platform = platformName();
  return [
    { path: join(__dirname, '../../build/Release/spherenet.node'), origin: 'built from source' },
    { path: PREBUILDS[platform] ?? join(__dirname, `../../prebuilds/${platform}.node`), origin: 'prebuilt' },
  ];
}

function checkNodeApi(needed: number): void {
  const found = Number(process.versions['napi']);
  if (found >= needed) return;
  throw new Refusal('node', `needs Node-API ${needed}, and Node ${process.versions.node} has ${found}`);
}

/**
 * Checks a prebuilt addon against what was written beside it, before any of it is mapped into the process: code from
 * a damaged file could crash there.
 */
function checkStamp(path: string, version: string): void {
  const stampPath = path.replace(/\.node$/, '.json');
  let stamp: PrebuildStamp;
  try {
    stamp = JSON.parse(readFileSync(stampPath, 'utf8')) as PrebuildStamp;
  } catch (error) {
    throw new Refusal('damaged', `its stamp ${stampPath} cannot be read: ${(error as Error).message}`);
  }
  if (stamp.version !== version) {
    throw new Refusal('version', `was built for spherenet ${stamp.version}, and this is ${version}`);
  }
  checkNodeApi(stamp.nodeApi);
  const bytes = readFileSync(path);
  if (bytes.length !== stamp.bytes) {
    throw new Refusal('damaged', `is damaged: it has ${bytes.length} bytes, and ${stamp.bytes} were packed`);
  }
  if (createHash('sha256').update(bytes).digest('hex') !== stamp.sha256) {
    throw new Refusal('damaged', 'is damaged: its content is not what was packed (SHA-256)');
  }
}

/** What the dynamic linker's message means. */
function inWords(error: Error): Refusal {
  const needed = /version `GLIBC_([\d.]+)' not found/.exec(error.message)?.[1];
  if (needed === undefined) return new Refusal('failed', error.message);
  return new Refusal(
    'glibc',
    `needs glibc ${needed} or newer, and this system has ${glibcVersion() ?? 'none'}`,
  );
}

function open(path: string): { build?: BuildInfo } {
  const addon: { exports: object } = { exports: {} };
  try {
    process.dlopen(addon, path);
  } catch (error) {
    throw inWords(error as Error);
  }
  return addon.exports;
}

function load({ path, origin }: Candidate, version: string): LoadedAddon {
  if (!existsSync(path)) throw new Refusal('missing', 'is not there');
  if (origin === 'prebuilt') checkStamp(path, version);
  const exports = open(path);
  const { build } = exports;
  if (build?.version !== version) {
    const other = build ? `spherenet ${build.version}` : 'a spherenet older than this, or is another addon';
    throw new Refusal('version', `was built for ${other}, and this is ${version}`);
  }
  return { exports, path, origin, build };
}

/** @throws SphereNetError (SPHERENET_BINDING): what was tried, what was found, what is needed and what to do */
export function loadAddon(): LoadedAddon {
  const version = packageVersion();
  const attempts: Attempt[] = [];
  for (const candidate of candidates()) {
    try {
      return load(candidate, version);
    } catch (error) {
      if (error instanceof Refusal) {
        attempts.push({ ...candidate, kind: error.kind, reason: error.message });
        continue;
      }
      attempts.push({ ...candidate, kind: 'failed', reason: (error as Error).message });
    }
  }
  throw new SphereNetError(
    'SPHERENET_BINDING',
    loadError(attempts, { version, root: PACKAGE_ROOT, platform: platformName(), glibc: glibcVersion() }),
  );
}
