import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where a command line writes. */
export interface Output {
  out: (text: string) => void;
  err: (text: string) => void;
}

/** What a subcommand throws when Ctrl-C ended it and it has said so. */
export class Interrupted extends Error {}

/** The version in package.json. */
export function packageVersion(): string {
  const text = readFileSync(join(__dirname, '../../package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** Turns the first Ctrl-C into an aborted signal; the second ends the process at once. */
export function catchInterrupt(): { signal: AbortSignal; stop: () => void } {
  const controller = new AbortController();
  const onInterrupt = (): void => {
    controller.abort();
  };
  process.once('SIGINT', onInterrupt);
  return { signal: controller.signal, stop: () => process.off('SIGINT', onInterrupt) };
}
