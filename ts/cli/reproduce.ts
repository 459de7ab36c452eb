import { Command } from 'commander';
import type { Budget, Experiment, Plan } from '../experiments/reproduce';
import type { DeviceChoice } from './device';
import { oneOf, shellQuote, wholeNumber } from './options';
import { catchInterrupt, checkFolder, Interrupted, packageVersion } from './support';
import type { Output } from './support';

interface ReproduceCommandOptions {
  budget: Budget;
  data?: string;
  cifar100?: string;
  imagenet?: string;
  seeds?: number;
  out: string;
  only?: string;
  list?: boolean;
  device: DeviceChoice;
  threads?: number;
}

/** Which option gives the folder of a data set, and what is to be there. */
const FOLDERS = {
  cifar10: { option: 'data', holds: 'CIFAR-10, the official binary files or class folders of JPEGs' },
  cifar100: { option: 'cifar100', holds: 'CIFAR-100, the official binary files' },
  imagenet: { option: 'imagenet', holds: 'ImageNet as train/<class>/*.JPEG and val/<class>/*.JPEG' },
} as const;

/** `spherenet reproduce`: an experiment of the paper, as tables and figures beside the paper's numbers. */
export function reproduceCommand(output: Output): Command {
  return new Command('reproduce')
    .description(
      'Repeat an experiment of the paper; what has ended is stored, and an interrupted experiment goes on.',
    )
    .argument('[name]', 'which experiment; --list shows all')
    .option('--list', 'show the experiments, how many runs they are and how many training images')
    .option(
      '--budget <size>',
      'quick: smaller than the paper, for two CPU cores; full: its setting, for a GPU',
      oneOf(['quick', 'full']),
      'quick',
    )
    .option(
      '--data <folder>',
      'CIFAR-10: the official binary files, or train/<class>/*.jpg and test/<class>/*.jpg',
    )
    .option('--cifar100 <folder>', 'CIFAR-100: the official binary files')
    .option(
      '--imagenet <folder>',
      'ImageNet-2012: train/<class>/*.JPEG and val/<class>/*.JPEG, read from the disk as it trains',
    )
    .option('--seeds <n>', 'repetitions of each cell (default: what the budget says)', wholeNumber(1, 100))
    .option('--only <text>', 'do only runs whose name contains this')
    .option('--out <folder>', 'where <name>/results.md and the runs go', 'spherenet-results')
    .option('--device <name>', 'where to compute: auto, cpu or cuda', oneOf(['auto', 'cpu', 'cuda']), 'auto')
    .option('--threads <n>', 'CPU threads (default: as many as CPUs)', wholeNumber(1, 256))
    .action((name: string | undefined, options: ReproduceCommandOptions) => start(name, options, output));
}

async function start(
  name: string | undefined,
  options: ReproduceCommandOptions,
  output: Output,
): Promise<void> {
  // Loaded here, so that help and bad arguments need neither the addon nor the chart library.
  const { EXPERIMENTS } = await import('../experiments/reproduce/catalogue/index.js');
  if (options.list === true) {
    await list(EXPERIMENTS, output);
    return;
  }
  const names = EXPERIMENTS.map((experiment) => experiment.name).join(', ');
  if (name === undefined) throw new Error(`reproduce: expected the name of an experiment: ${names}`);
  const experiment = EXPERIMENTS.find((candidate) => candidate.name === name);
  if (experiment === undefined) throw new Error(`reproduce: expected one of ${names}, got ${name}`);
  if (experiment.budgets?.includes(options.budget) === false) {
    throw new Error(
      `reproduce ${name}: --budget must be ${experiment.budgets.join(' or ')}, got ${options.budget}`,
    );
  }
  const { needsOf } = await import('../experiments/reproduce/experiment.js');
  for (const source of needsOf(experiment, options.budget)) {
    const { option, holds } = FOLDERS[source];
    if (options[option] !== undefined) continue;
    throw new Error(`reproduce ${name}: --${option} must be a folder with ${holds}`);
  }
  await carryOut(experiment, options, output);
}

async function carryOut(
  experiment: Experiment,
  options: ReproduceCommandOptions,
  output: Output,
): Promise<void> {
  const [{ device }, { useDevice }, { describeDevice }, { DataShelf, reproduce }] = await Promise.all([
    import('../core/device.js'),
    import('./device.js'),
    import('../experiments/machine.js'),
    import('../experiments/reproduce/index.js'),
  ]);
  const log = (line: string): void => {
    output.out(`${line}\n`);
  };
  const { budget, seeds, cifar100, imagenet, data, out, only } = options;
  const shelf = await DataShelf.open({ cifar10: data, cifar100, imagenet });
  await checkFolder(out);
  const plan = experiment.plan({ budget, seeds, hasCifar100: cifar100 !== undefined });
  const withoutCuda = useDevice(options.device, options.threads);
  log(`spherenet ${packageVersion()}: ${experiment.title}, ${budget} budget\n`);
  log(`device   ${describeDevice(withoutCuda)}`);
  log(`work     ${await workOf(plan)}\n`);
  const interruption = catchInterrupt();
  try {
    const written = await reproduce(experiment, plan, {
      ...{ budget, out, shelf, only, withoutCuda, log },
      command: commandLine(experiment, options, device.cpu.threads),
      version: packageVersion(),
      signal: interruption.signal,
    });
    log(`\nreport   ${written.markdown}\nnumbers  ${written.json}`);
    if (written.ended < written.planned) {
      log(
        `${written.planned - written.ended} of ${written.planned} runs have not ended yet; the report says so`,
      );
    }
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
    output.err(
      `\nspherenet: interrupted; runs that ended are stored in ${out}, the one under way only where it has trained ` +
        'for minutes: the same command goes on from there\n',
    );
    throw new Interrupted();
  } finally {
    interruption.stop();
  }
}

async function list(experiments: readonly Experiment[], output: Output): Promise<void> {
  for (const experiment of experiments) {
    output.out(`${experiment.name}\n  ${experiment.question}\n`);
    for (const budget of experiment.budgets ?? (['quick', 'full'] as const)) {
      output.out(`  ${budget}: ${await workOf(experiment.plan({ budget }))}\n`);
    }
  }
}

async function workOf({ runs }: Plan): Promise<string> {
  const [{ trainingImages }, { count }] = await Promise.all([
    import('../experiments/reproduce/config.js'),
    import('../experiments/report/words.js'),
  ]);
  const images = runs.reduce((sum, { config }) => sum + trainingImages(config), 0);
  const what = images === 0 ? '' : `, ${count(images)} training images in all`;
  return `${count(runs.length)} runs${what}`;
}

/** A command line that does the same again. */
function commandLine(experiment: Experiment, options: ReproduceCommandOptions, threads: number): string {
  const { budget, data, cifar100, imagenet, seeds, device } = options;
  const words = [
    ...['npx', 'spherenet', 'reproduce', experiment.name, '--budget', budget],
    ...(data === undefined ? [] : ['--data', data]),
    ...(cifar100 === undefined ? [] : ['--cifar100', cifar100]),
    ...(imagenet === undefined ? [] : ['--imagenet', imagenet]),
    ...(seeds === undefined ? [] : ['--seeds', seeds]),
    ...['--device', device, '--threads', threads],
  ];
  return words.map((word) => shellQuote(String(word))).join(' ');
}
