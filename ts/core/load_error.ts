/** What is said when the native addon cannot be loaded. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Where an addon comes from. */
export type AddonOrigin = 'SPHERENET_BINDING' | 'built from source' | 'prebuilt';

/** Why a candidate was not taken. The kind decides what the message advises. */
export interface Attempt {
  path: string;
  origin: AddonOrigin;
  kind: 'missing' | 'damaged' | 'version' | 'node' | 'glibc' | 'failed';
  reason: string;
}

interface System {
  /** Of the package. */
  version: string;
  /** Where the package lies. */
  root: string;
  platform: string;
  glibc: string | null;
}

/** Platforms whose addon is in the package. */
function packed(root: string): string[] {
  const folder = join(root, 'prebuilds');
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.node'))
    .map((name) => name.replace(/\.node$/, ''))
    .sort();
}

/** A command that builds from source where the package lies, from any folder. */
export function buildCommand(root: string): string {
  return `npm --prefix ${/^[\w./@-]+$/.test(root) ? root : JSON.stringify(root)} run build:native`;
}

function advice(attempts: readonly Attempt[], { version, root, platform }: System): string[] {
  const kinds = new Set(attempts.map(({ kind }) => kind));
  const [first] = attempts;
  if (first?.origin === 'SPHERENET_BINDING') {
    return ['unset SPHERENET_BINDING, or let it name an addon that was built from this very version'];
  }
  const lines: string[] = [];
  const platforms = packed(root);
  const isPacked = platforms.includes(platform);
  if (kinds.has('damaged') || platforms.length === 0 || (isPacked && kinds.has('version'))) {
    lines.push(`remove ${root} and install spherenet ${version} again`);
  } else if (!isPacked) {
    lines.push(
      `prebuilt addons are in the package for ${platforms.join(', ')}; elsewhere it is built from source`,
    );
  }
  if (kinds.has('glibc')) lines.push('use a newer system: its glibc cannot be replaced by itself');
  if (kinds.has('node')) lines.push('use a newer Node: 20.17, or any later release');
  lines.push(
    `build it from source, which takes a C++20 compiler (g++ 11 or clang 14, or newer), make and Python 3:\n` +
      `      ${buildCommand(root)}`,
  );
  return lines;
}

export function loadError(attempts: readonly Attempt[], system: System): string {
  const { version, platform, glibc } = system;
  const { node, napi } = process.versions;
  const libc = glibc === null ? '' : `, glibc ${glibc}`;
  return [
    `the native addon of spherenet ${version} cannot be loaded on ${platform}${libc}, Node ${node}, Node-API ${napi}`,
    'tried:',
    ...attempts.map(({ path, origin, reason }) => `  - ${path} (${origin}) ${reason}`),
    'what helps:',
    ...advice(attempts, system).map((line) => `  - ${line}`),
  ].join('\n');
}
