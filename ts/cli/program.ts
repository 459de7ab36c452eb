import { Command, CommanderError } from 'commander';
import { benchCommand } from './bench';
import { infoCommand } from './info';
import { reproduceCommand } from './reproduce';
import { Interrupted, packageVersion } from './support';
import type { Output } from './support';
import { trainCommand } from './train';

const STANDARD: Output = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
};

/** What a shell sees of a program that Ctrl-C ended. */
const EXIT_INTERRUPTED = 130;

/**
 * Runs the command line `spherenet ARGS`.
 *
 * @param args without `node` and the script
 * @returns the exit code: 0, 1 after an error of which one sentence was written, 130 after Ctrl-C
 */
export async function run(args: readonly string[], output: Output = STANDARD): Promise<number> {
  try {
    await createProgram(output).parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode;
    if (error instanceof Interrupted) return EXIT_INTERRUPTED;
    output.err(`spherenet: ${inWords(error)}\n`);
    return 1;
  }
}

function createProgram(output: Output): Command {
  const program = new Command('spherenet')
    .description('Hyperspherical networks (SphereConv, GA-Softmax), trained by native kernels.')
    .version(packageVersion())
    .configureOutput({ writeOut: output.out, writeErr: output.err })
    .exitOverride();
  const commands = [
    trainCommand(output),
    reproduceCommand(output),
    benchCommand(output),
    infoCommand(output),
  ];
  for (const command of commands) {
    program.addCommand(command.copyInheritedSettings(program));
    for (const part of command.commands) part.copyInheritedSettings(command);
  }
  return program;
}

/** A stack is for those who ask for it with SPHERENET_DEBUG=1. */
function inWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return process.env.SPHERENET_DEBUG ? (error.stack ?? error.message) : error.message;
}
