// `npm run test:mutants`: plants bugs into the CUDA kernels, one at a time (test/cuda-on-host/mutants.mjs lists them), and
// reports which of them the tests of test/cuda-on-host notice. Nothing in cuda/ is changed: a mutant is compiled from
// a copy and linked with the other, unchanged objects.
//   --check      only that every mutant still fits the source
//   --only=text  mutants whose name or file contains it
//   --out=file   also writes the outcome as JSON
// The last line is `N caught, N survived`; it fails where fewer than 95 % are caught.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { mutants } from '../test/cuda-on-host/mutants.mjs';
import { buildOnHost } from './cuda-on-host.mjs';
import { filesUnder, listedSources } from './sources.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'build/mutants');
const tree = join(folder, 'tree');
const BAR = 0.95;
/** A mutant that has not ended by then hangs. */
const SECONDS = 900;

const SCHEDULES = [
  { CUDA_HOST_ORDER: 'greedy', CUDA_HOST_COPIES: 'wait' },
  { CUDA_HOST_ORDER: 'random', CUDA_HOST_COPIES: 'issue' },
];
const PROGRAMS = ['ops_test', 'conv_test', 'gradient_test', 'filter_backward_test', 'traffic_test'];

const { values: options } = parseArgs({
  options: { check: { type: 'boolean', default: false }, only: { type: 'string' }, out: { type: 'string' } },
});

/** The mutated text of its file, or a sentence that says why it does not fit. */
function mutated({ file, find, replace }) {
  const text = readFileSync(join(root, file), 'utf8');
  const parts = text.split(find);
  if (parts.length !== 2)
    return { problem: `${JSON.stringify(find)} is ${parts.length - 1} times in ${file}` };
  return { text: parts.join(replace) };
}

/** The files of cuda/ that a source includes, itself and what is included in turn. */
function includesOf(source, seen = new Set()) {
  if (seen.has(source)) return seen;
  seen.add(source);
  for (const [, name] of readFileSync(join(root, source), 'utf8').matchAll(/^#include "(.+)"$/gm)) {
    const file = relative(root, resolve(root, dirname(source), name));
    if (file.startsWith('cuda/') && existsSync(join(root, file))) includesOf(file, seen);
  }
  return seen;
}

const kernels = listedSources().filter((source) => source.startsWith('cuda/'));
const unchanged = [
  ...listedSources().filter((source) => !/^native\/(napi|no_cuda)/.test(source)),
  ...filesUnder('test/cuda-on-host/runtime', (file) => file.endsWith('.cc')),
];

function testSources(program) {
  const prefix = `test/cuda-on-host/${program.slice(0, -'test'.length)}`;
  return filesUnder('test/cuda-on-host', (file) => file.startsWith(prefix) && /\.(cc|cu)$/.test(file));
}

/** Links `program` with the mutant's copies of `affected` sources, or with none. */
async function link(program, affected) {
  const path = join(folder, affected.length > 0 ? 'mutant' : 'original', program);
  const sources = [...unchanged, ...testSources(program)].map((source) =>
    affected.includes(source) ? join(tree, source) : source,
  );
  const ok = await buildOnHost(sources, path, { folder: join(folder, 'objects') });
  return ok ? path : null;
}

/** How a program noticed, or null. */
function noticed(path, args) {
  for (const schedule of SCHEDULES) {
    const { status, signal, error } = spawnSync(path, args, {
      env: { ...process.env, CUDA_HOST_SEED: '1', SPHERENET_FAIL_FAST: '1', ...schedule },
      stdio: 'ignore',
      timeout: SECONDS * 1000,
    });
    const how = { schedule: Object.values(schedule).join(' ') };
    if (error?.code === 'ETIMEDOUT') return { ...how, by: 'hangs' };
    if (signal) return { ...how, by: 'stopped with a sentence' };
    if (status !== 0) return { ...how, by: 'wrong result' };
  }
  return null;
}

/** Compiles a mutant and runs the programs until one notices. */
async function outcomeOf(mutant) {
  const { text } = mutated(mutant);
  const copy = join(tree, mutant.file);
  writeFileSync(copy, text);
  const affected = kernels.filter(
    (source) =>
      includesOf(source).has(mutant.file) &&
      (mutant.units === undefined || mutant.units.includes(basename(source))),
  );
  try {
    // The program that is made for this part first.
    const programs = [...PROGRAMS].sort((a, b) => (b === mutant.program) - (a === mutant.program));
    for (const program of programs) {
      const path = await link(program, affected);
      if (path === null) return { by: 'does not compile', program };
      const args = program === mutant.program ? (mutant.args ?? []) : [];
      const found = noticed(path, args) ?? (args.length > 0 ? noticed(path, []) : null);
      if (found) return { program, ...found };
    }
    return null;
  } finally {
    cpSync(join(root, mutant.file), copy);
  }
}

const { only } = options;
const chosen = mutants.filter(({ name, file }) => only === undefined || `${name} ${file}`.includes(only));
const stale = chosen.map(mutated).filter(({ problem }) => problem !== undefined);
for (const { problem } of stale) console.error(`mutants: ${problem}`);
if (stale.length > 0) process.exit(1);
if (options.check) {
  console.log(`${chosen.length} mutants fit`);
  process.exit(0);
}

rmSync(tree, { recursive: true, force: true });
mkdirSync(tree, { recursive: true });
cpSync(join(root, 'cuda'), join(tree, 'cuda'), { recursive: true });
symlinkSync(join(root, 'native'), join(tree, 'native'));

for (const program of PROGRAMS) {
  const path = await link(program, []);
  const found = path === null ? { by: 'does not compile' } : noticed(path, []);
  if (!found) continue;
  console.error(`mutants: without any mutation, ${program} fails: ${JSON.stringify(found)}`);
  process.exit(1);
}

const outcomes = [];
for (const [i, mutant] of chosen.entries()) {
  const started = Date.now();
  const outcome = await outcomeOf(mutant);
  const seconds = Math.round((Date.now() - started) / 1000);
  outcomes.push({ name: mutant.name, file: mutant.file, caught: outcome !== null, ...outcome });
  const verdict = outcome
    ? `caught: ${outcome.by}, ${outcome.program}${outcome.schedule ? ` (${outcome.schedule})` : ''}`
    : `SURVIVED${mutant.survives ? `: ${mutant.survives}` : ''}`;
  console.log(`${i + 1}/${chosen.length} ${mutant.file}: ${mutant.name}: ${verdict}, ${seconds} s`);
}
const caught = outcomes.filter((outcome) => outcome.caught).length;
if (options.out !== undefined) writeFileSync(options.out, `${JSON.stringify(outcomes, null, 2)}\n`);
console.log(`${caught} caught, ${outcomes.length - caught} survived`);
// What does not compile is no test of the tests.
const invalid = outcomes.filter(({ by }) => by === 'does not compile');
for (const { name, file } of invalid) console.error(`mutants: ${file}: ${name} does not compile`);
process.exitCode = invalid.length > 0 || caught < BAR * outcomes.length ? 1 : 0;
