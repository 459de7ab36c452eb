import { Command } from 'commander';
import type { BenchResults } from '../bench';
import { oneOf, shellQuote, wholeNumber } from './options';
import { catchInterrupt, checkFolder, Interrupted, packageVersion } from './support';
import type { Output } from './support';

interface BenchCommandOptions {
  filter?: string;
  device: 'cpu' | 'cuda';
  peers?: boolean;
  compile?: boolean;
  quick?: boolean;
  list?: boolean;
  out: string;
  threads?: number;
}

/** `spherenet bench`: how fast the kernels are on this machine, beside what it can do at most. */
export function benchCommand(output: Output): Command {
  return new Command('bench')
    .description(
      'Measure layers, training steps, memory, loader and overhead beside the ceilings of this machine.',
    )
    .option('--filter <text>', 'only benchmarks whose name contains this, such as CNN-9 or overhead')
    .option('--list', 'show the names of the benchmarks')
    .option('--device <name>', 'what to measure: cpu or cuda', oneOf(['cpu', 'cuda']), 'cpu')
    .option('--threads <n>', 'CPU threads (default: as many as CPUs)', wholeNumber(1, 256))
    .option(
      '--peers',
      'PyTorch, onnxruntime-node and TensorFlow.js on the same layers, as far as they are there',
    )
    .option('--compile', 'with --peers: PyTorch also compiles each layer, which takes it a minute')
    .option(
      '--quick',
      'fewer runs and smaller batches of the large networks: within five minutes on two cores',
    )
    .option('--out <folder>', 'where results.json goes', 'spherenet-bench')
    .action((options: BenchCommandOptions) => bench(options, output))
    .addCommand(compareCommand(output));
}

/** `spherenet bench compare`: what got slower or faster from one results.json to another. */
function compareCommand(output: Output): Command {
  return new Command('compare')
    .description('Show what got slower or faster beyond the noise, and what only one of two runs has.')
    .argument('<before>', 'results.json of a run')
    .argument('<after>', 'results.json of a later one')
    .action(async (before: string, after: string) => {
      const { readResults, renderComparison } = await import('../bench/index.js');
      output.out(renderComparison(await readResults(before), await readResults(after)));
    });
}

async function bench(options: BenchCommandOptions, output: Output): Promise<void> {
  if (options.peers === true && options.device === 'cuda') {
    throw new Error(
      '--peers must go with --device cpu: on a GPU, bench/gpu/run.sh of a checkout measures cuDNN and PyTorch',
    );
  }
  await checkFolder(options.out);
  // Loaded here, so that help and bad arguments need neither the addon nor the chart library.
  const [{ device }, { useDevice }, suite, { formatJson, writeFiles }] = await Promise.all([
    import('../core/device.js'),
    import('./device.js'),
    import('../bench/index.js'),
    import('../experiments/report/write.js'),
  ]);
  const log = (line: string): void => {
    output.out(`${line}\n`);
  };
  const effort = {
    ...(options.quick === true ? suite.QUICK : suite.FULL),
    compileLayers: options.compile === true,
  };
  if (options.list === true) {
    for (const benchmark of suite.chooseBenchmarks(
      suite.allBenchmarks(options.device, effort),
      options.filter,
    )) {
      log(suite.nameOf(benchmark));
    }
    return;
  }
  useDevice(options.device, options.threads);
  const machine = suite.benchMachine();
  log(
    `spherenet ${packageVersion()}: benchmarks, ${effort.name}\n\ndevice   ${suite.describeMachine(machine)}\n`,
  );
  const interruption = catchInterrupt();
  try {
    const { measurements, ceilings, notes, peers, seconds } = await suite.runSuite({
      ...{ device: options.device, effort, filter: options.filter, signal: interruption.signal },
      peers: options.peers === true ? suite.cpuPeers(device.cpu.threads) : undefined,
      progress: suite.createProgress(process.stdout, log),
    });
    const results: BenchResults = {
      ...{ name: 'spherenet bench', format: suite.FORMAT, created: new Date().toISOString() },
      ...{
        version: packageVersion(),
        command: commandLine(options, device.cpu.threads),
        effort: effort.name,
      },
      ...{ filter: options.filter ?? null, machine, ceilings, measurements, peers, notes, seconds },
    };
    const [path, ...figures] = await writeFiles(options.out, {
      'results.json': formatJson(results),
      ...suite.renderFigures(results),
    });
    log(`\n${suite.renderTable(results)}\nnumbers  ${path ?? options.out}`);
    for (const figure of figures) log(`figure   ${figure}`);
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
    output.err('\nspherenet: interrupted; no results were written\n');
    throw new Interrupted();
  } finally {
    interruption.stop();
  }
}

/** A command line that does the same again. */
function commandLine({ filter, device, peers, quick, out }: BenchCommandOptions, threads: number): string {
  const words = [
    ...['npx', 'spherenet', 'bench'],
    ...(filter === undefined ? [] : ['--filter', filter]),
    ...(peers === true ? ['--peers'] : []),
    ...(quick === true ? ['--quick'] : []),
    ...['--device', device, '--threads', threads, '--out', out],
  ];
  return words.map((word) => shellQuote(String(word))).join(' ');
}
