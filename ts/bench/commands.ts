// Programs that benchmarks start: with a time limit, and with their output read line by line as it comes.
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where a program lies, or null where it is not installed. `places` are tried after PATH. */
export function findProgram(name: string, places: readonly string[] = []): string | null {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  for (const path of [...folders.map((folder) => join(folder, name)), ...places]) {
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here.
    }
  }
  return null;
}

export interface CommandOptions {
  /** Then it is killed. */
  seconds: number;
  input?: string;
  env?: Readonly<Record<string, string>>;
  onLine?: (line: string) => void;
}

export interface CommandResult {
  /** Null where a signal ended it. */
  code: number | null;
  timedOut: boolean;
  /** The last lines of what it wrote to standard error. */
  errors: string;
}

export function runCommand(
  command: string,
  args: readonly string[],
  { seconds, input = '', env = {}, onLine }: CommandOptions,
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: 'pipe' });
    let timedOut = false;
    const timer = setTimeout(
      () => {
        timedOut = true;
        child.kill('SIGKILL');
      },
      Math.max(seconds, 1) * 1000,
    );
    let rest = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) onLine?.(line);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors = (errors + text).slice(-4000);
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    const done = (code: number | null): void => {
      clearTimeout(timer);
      if (rest) onLine?.(rest);
      resolve({ code, timedOut, errors: errors.trim() });
    };
    child.on('error', (error) => {
      errors += error.message;
      done(null);
    });
    child.on('close', done);
  });
}

/** A line as JSON, or null where it is none. */
export function parseLine(line: string): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    return null;
  }
}
