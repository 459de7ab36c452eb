import { Command } from 'commander';
import { DEFAULT_SETTINGS, OPERATORS } from '../experiments/settings';
import type { ExperimentSettings } from '../experiments/settings';
import type { DeviceChoice } from './device';
import { curvature, oneOf, realNumber, shellQuote, wholeNumber } from './options';
import { catchInterrupt, checkFolder, Interrupted, packageVersion } from './support';
import type { Output } from './support';

interface TrainOptions {
  epochs?: number;
  batchSize?: number;
  seed?: number;
  operator?: ExperimentSettings['operator'];
  k?: number | 'learnable';
  margin?: number;
  depth?: number;
  data?: string;
  out: string;
  quick?: boolean;
  device: DeviceChoice;
  threads?: number;
}

/** Training images with --quick: enough to see everything work, not enough to learn. */
const QUICK_IMAGES = 1000;

/** `spherenet train`: a SphereNet on Fashion-MNIST, and a report about it. */
export function trainCommand(output: Output): Command {
  return new Command('train')
    .description('Train a SphereNet on Fashion-MNIST and write a report with pictures.')
    .option(
      '--epochs <n>',
      `times through the training images (default: ${DEFAULT_SETTINGS.epochs})`,
      wholeNumber(1, 10_000),
    )
    .option(
      '--batch-size <n>',
      `images per step (default: ${DEFAULT_SETTINGS.batchSize})`,
      wholeNumber(2, 100_000),
    )
    .option('--seed <n>', `fixes weights and orders (default: ${DEFAULT_SETTINGS.seed})`, wholeNumber(0))
    .option(
      '--operator <name>',
      `g(θ): ${OPERATORS.join(', ')} (default: ${DEFAULT_SETTINGS.operator})`,
      oneOf(OPERATORS),
    )
    .option(
      '--k <number>',
      `curvature of operator sigmoid, or 'learnable' (default: ${DEFAULT_SETTINGS.k})`,
      curvature,
    )
    .option(
      '--margin <number>',
      `of GA-Softmax; 1 is W-Softmax (default: ${DEFAULT_SETTINGS.margin})`,
      realNumber('a number of at least 1', (value) => value >= 1),
    )
    .option(
      '--depth <n>',
      `convolutions, a multiple of 3 (default: ${DEFAULT_SETTINGS.depth})`,
      realNumber('a multiple of 3 from 3 to 69', (value) => value % 3 === 0 && value >= 3 && value <= 69),
    )
    .option(
      '--data <folder>',
      'the four IDX files of Fashion-MNIST or MNIST, plain, .gz or .br (default: the part within)',
    )
    .option('--out <folder>', 'where the report goes', 'spherenet-report')
    .option('--quick', `one epoch of ${QUICK_IMAGES} images, to see that everything works`)
    .option('--device <name>', 'where to compute: auto, cpu or cuda', oneOf(['auto', 'cpu', 'cuda']), 'auto')
    .option('--threads <n>', 'CPU threads (default: as many as CPUs)', wholeNumber(1, 256))
    .action((options: TrainOptions) => train(options, output));
}

async function train(options: TrainOptions, output: Output): Promise<void> {
  if (options.k !== undefined && (options.operator ?? 'sigmoid') !== 'sigmoid') {
    throw new Error(`--k is the curvature of operator sigmoid; operator ${options.operator} has none`);
  }
  await checkFolder(options.out);
  // Loaded here, so that help and bad arguments need neither the addon nor the chart library.
  const [{ device }, { useDevice }, experiments] = await Promise.all([
    import('../core/device.js'),
    import('./device.js'),
    import('../experiments/index.js'),
  ]);
  const log = (line: string): void => {
    output.out(`${line}\n`);
  };
  const { describeDevice, renderReport, runFashionMnist, formatJson, writeFiles } = experiments;
  const settings: ExperimentSettings = { ...DEFAULT_SETTINGS, ...chosen(options) };
  const withoutCuda = useDevice(options.device, options.threads);
  log(`spherenet ${packageVersion()}: Fashion-MNIST\n\ndevice   ${describeDevice(withoutCuda)}`);

  const interruption = catchInterrupt();
  try {
    const { signal } = interruption;
    const { results, test } = await runFashionMnist({
      ...settings,
      folder: options.data,
      trainLimit: options.quick === true ? QUICK_IMAGES : undefined,
      command: commandLine(settings, options, device.cpu.threads),
      version: packageVersion(),
      progress: true,
      ...{ log, withoutCuda, signal },
    });
    const report = await renderReport(results, test);
    signal.throwIfAborted();
    const [page, numbers] = await writeFiles(options.out, {
      'index.html': report,
      'results.json': formatJson(results),
    });
    log(`\nreport   ${page}\nnumbers  ${numbers}`);
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
    output.err('\nspherenet: interrupted; no report was written\n');
    throw new Interrupted();
  } finally {
    interruption.stop();
  }
}

function chosen(options: TrainOptions): Partial<ExperimentSettings> {
  const { epochs, batchSize, seed, operator, k, margin, depth, quick } = options;
  const given = { epochs, batchSize, seed, operator, k, margin, depth };
  const set = Object.entries(given).filter(([, value]) => value !== undefined);
  return {
    ...(quick === true && { epochs: 1, planeEpochs: 1 }),
    ...(Object.fromEntries(set) as Partial<ExperimentSettings>),
  };
}

/** A command line that says everything, so that it does the same when defaults have changed. */
function commandLine(settings: ExperimentSettings, options: TrainOptions, threads: number): string {
  const { epochs, batchSize, seed, operator, k, margin, depth } = settings;
  const words = [
    ...['npx', 'spherenet', 'train'],
    ...['--epochs', epochs, '--batch-size', batchSize, '--seed', seed, '--operator', operator],
    ...(operator === 'sigmoid' ? ['--k', k] : []),
    ...['--margin', margin, '--depth', depth],
    ...(options.data === undefined ? [] : ['--data', options.data]),
    ...(options.quick === true ? ['--quick'] : []),
    ...['--device', options.device, '--threads', threads],
  ];
  return words.map((word) => shellQuote(String(word))).join(' ');
}
