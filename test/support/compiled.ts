/**
 * The library as plain JavaScript, for worker threads and child processes that tests start. Compiled file by file into
 * a folder that goes when the test file is through.
 */
import { spawn } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript';

const ROOT = join(__dirname, '..', '..');
/** What the programs of test/support/programs use, and what that uses. */
const PARTS = ['core', 'ops', 'losses', 'nn'];

export interface Compiled {
  /** Where the JavaScript of ts/ lies. */
  folder: string;
  /** For child processes: finds the library and the addon. */
  env: NodeJS.ProcessEnv;
  remove(): void;
}

export function compileLibrary(): Compiled {
  const root = mkdtempSync(join(tmpdir(), 'spherenet-test-'));
  const folder = join(root, 'dist');
  mkdirSync(folder);
  copyFileSync(join(ROOT, 'package.json'), join(root, 'package.json'));
  for (const part of PARTS) {
    for (const file of readdirSync(join(ROOT, 'ts', part), { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.ts')) continue;
      const { outputText } = transpileModule(readFileSync(join(ROOT, 'ts', part, file), 'utf8'), {
        compilerOptions: { module: ModuleKind.CommonJS, target: ScriptTarget.ES2022 },
      });
      const out = join(folder, part, file.replace(/\.ts$/, '.js'));
      mkdirSync(dirname(out), { recursive: true });
      writeFileSync(out, outputText);
    }
  }
  const env = {
    ...process.env,
    SPHERENET_COMPILED: folder,
    SPHERENET_BINDING: process.env['SPHERENET_BINDING'] ?? join(ROOT, 'build', 'Release', 'spherenet.node'),
  };
  return { folder, env, remove: () => rmSync(root, { recursive: true, force: true }) };
}

/** The path of a program of test/support/programs. */
export function program(name: string): string {
  return join(__dirname, 'programs', name);
}

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  output: string;
  errors: string;
}

/** Runs a program in a process of its own; `signal` is sent when it first prints `ready`. */
export function runProgram(
  name: string,
  compiled: Compiled,
  options: { args?: string[]; env?: NodeJS.ProcessEnv; signal?: NodeJS.Signals; nodeArgs?: string[] } = {},
): Promise<Ended> {
  const { args = [], env = {}, signal, nodeArgs = [] } = options;
  const child = spawn(process.execPath, [...nodeArgs, program(name), ...args], {
    env: { ...compiled.env, ...env },
  });
  let [output, errors, signalled] = ['', '', false];
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    if (signal && !signalled && output.includes('ready')) {
      // Not at once: the native work is to be under way.
      signalled = true;
      setTimeout(() => child.kill(signal), 200);
    }
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, endSignal) => {
      resolve({ code, signal: endSignal, output, errors });
    });
  });
}
