/** The command line as npm installs it: compiled, in a process of its own. */
import { spawn, spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';

const ROOT = resolve(__dirname, '../..');
const MAIN = join(ROOT, 'dist/cli/main.js');

export interface Outcome {
  code: number | null;
  out: string;
  err: string;
}

/** Runs the executable as a shell would. `interruptAt`: text after which it gets Ctrl-C. */
export function spherenet(
  args: readonly string[],
  interruptAt?: string,
): Promise<Outcome & { secondsToEnd: number }> {
  return new Promise((settle, fail) => {
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: ROOT,
      env: { ...process.env, SPHERENET_DEBUG: '' },
    });
    const outcome = { out: '', err: '' };
    let interrupted = 0;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      outcome.out += text;
      if (interruptAt !== undefined && interrupted === 0 && outcome.out.includes(interruptAt)) {
        interrupted = performance.now();
        child.kill('SIGINT');
      }
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => (outcome.err += text));
    child.on('error', fail);
    child.on('close', (code) => {
      settle({ code, ...outcome, secondsToEnd: (performance.now() - interrupted) / 1000 });
    });
  });
}

/** Compiles the program from the sources as they are. */
export function compileProgram(): void {
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
  const { status, stdout } = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
}
