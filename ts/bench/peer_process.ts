import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { createInterface } from 'node:readline';
import { parseLine } from './commands';

/** A peer as it is started. */
export interface PeerProgram {
  readonly name: string;
  /** The program, and its arguments. */
  readonly command: readonly [string, ...string[]];
  /** How a user comes by it, in words. */
  readonly howTo: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A line of a peer: a figure, as samples in seconds or as bytes, values of a result, or something to know. */
export interface PeerLine {
  readonly contestant?: string;
  readonly what?: string;
  readonly samples?: readonly number[];
  readonly bytes?: number;
  readonly values?: readonly number[];
  readonly note?: string;
}

interface StatusLine extends PeerLine {
  readonly ready?: string;
  readonly missing?: string;
  readonly done?: boolean;
}

/** What the peer is, or why it is missing. */
export type PeerStart =
  { readonly peer: PeerProcess; readonly missing: null } | { readonly peer: null; readonly missing: string };

/** Until a peer has loaded its libraries, and until it has answered: then it is given up. */
const START_SECONDS = 120;
const ANSWER_SECONDS = 900;

/** Another program that measures, in a process of its own: requests and answers are lines of JSON. */
export class PeerProcess implements Disposable {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  #errors = '';
  /** Name and version, as the peer says. */
  version = '';

  private constructor(readonly program: PeerProgram) {
    const [command, ...args] = program.command;
    this.#child = spawn(command, args, { env: { ...process.env, ...program.env }, stdio: 'pipe' });
    this.#child.on('error', (error) => (this.#errors += error.message));
    this.#child.stdin.on('error', () => undefined);
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-4000);
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  static async start(program: PeerProgram): Promise<PeerStart> {
    const peer = new PeerProcess(program);
    const first = await peer.#next(START_SECONDS);
    if (first?.ready !== undefined) {
      peer.version = first.ready;
      return { peer, missing: null };
    }
    const reason = first?.missing ?? peer.#ending();
    peer[Symbol.dispose]();
    return { peer: null, missing: `${program.name} is missing: ${reason}. ${program.howTo}` };
  }

  /** All lines that answer a request. @throws Error, one sentence, where the process has ended or does not answer */
  async ask(request: object): Promise<PeerLine[]> {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    const lines: PeerLine[] = [];
    for (;;) {
      const line = await this.#next(ANSWER_SECONDS);
      if (line === null) throw new Error(`${this.program.name} did not answer: ${this.#ending()}`);
      if (line.done === true) return lines;
      lines.push(line);
    }
  }

  [Symbol.dispose](): void {
    this.#child.kill('SIGKILL');
  }

  /** The next line that is JSON, others being what libraries print; null at the end, or when the time is over. */
  async #next(seconds: number): Promise<StatusLine | null> {
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 1000 * seconds);
    try {
      for (;;) {
        const { value, done } = (await this.#lines.next()) as IteratorResult<string, undefined>;
        if (done === true) return null;
        const line = parseLine(value);
        if (line !== null && typeof line === 'object') return line;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #ending(): string {
    const last = this.#errors.trim().split('\n').at(-1);
    return last ? last.slice(0, 300) : `its process ended with ${this.#child.exitCode ?? 'a signal'}`;
  }
}
