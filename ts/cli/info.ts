import { cpus, release, totalmem } from 'node:os';
import { Command } from 'commander';
import { glibcVersion, packageVersion, platformName } from '../core/loader';
import type { LoadedAddon } from '../core/loader';
import type { NativeCudaStatus } from '../core/binding';
import type { Output } from './support';

/** What `spherenet info --json` prints. */
export interface Info {
  version: string;
  platform: { name: string; kernel: string; glibc: string | null; node: string; nodeApi: number };
  addon: Omit<LoadedAddon, 'exports'>;
  cpu: { model: string; memoryBytes: number; simd: string; threads: number };
  /** `reason`: why CUDA is not used; empty where it is. */
  cuda: NativeCudaStatus;
}

/** `spherenet info`: what was loaded, what it computes on, and why CUDA is not used where it is not. */
export function infoCommand(output: Output): Command {
  return new Command('info')
    .description('Show the devices with memory and architecture, versions, and why CUDA is not used.')
    .option('--json', 'the same for programs')
    .action(async ({ json }: { json?: boolean }) => {
      // Where the addon cannot be loaded, that error says everything there is to say.
      const info = await collect();
      output.out(json === true ? `${JSON.stringify(info, null, 2)}\n` : inWords(info));
    });
}

async function collect(): Promise<Info> {
  const [{ loaded }, { device }] = await Promise.all([
    import('../core/binding.js'),
    import('../core/device.js'),
  ]);
  const { path, origin, build } = loaded;
  return {
    version: packageVersion(),
    platform: {
      name: platformName(),
      kernel: release(),
      glibc: glibcVersion(),
      node: process.versions.node,
      nodeApi: Number(process.versions['napi']),
    },
    addon: { path, origin, build },
    cpu: {
      model: cpus()[0]?.model ?? 'unknown',
      memoryBytes: totalmem(),
      simd: device.cpu.simd(),
      threads: device.cpu.threads,
    },
    cuda: device.cuda.status(),
  };
}

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

/** '13.0' for 13000, as CUDA counts. */
const cudaVersion = (version: number): string =>
  `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`;

function inWords({ version, platform, addon, cpu, cuda }: Info): string {
  const { name, kernel, glibc, node, nodeApi } = platform;
  const { cuda: toolkit, architectures } = addon.build;
  const contents = toolkit === '' ? 'CPU' : `CPU and CUDA ${toolkit} for ${architectures}`;
  const driver = `serves CUDA ${cudaVersion(cuda.driverVersion)}`;
  const rows: [string, string][] = [
    ['spherenet', version],
    ['platform', [name, `kernel ${kernel}`, ...(glibc === null ? [] : [`glibc ${glibc}`])].join(', ')],
    ['node', `${node}, Node-API ${nodeApi}`],
    ['addon', `${addon.path} (${addon.origin})`],
    ['', `${contents}, for Node-API ${addon.build.nodeApi} and newer`],
    ['cpu', `${cpu.model}, ${gibibytes(cpu.memoryBytes)}, ${cpu.simd} kernels, ${cpu.threads} threads`],
    ...(cuda.driverVersion > 0 ? [['driver', driver] as [string, string]] : []),
    ...cuda.devices.map(({ name: gpu, memoryBytes, computeCapability }, i): [string, string] => [
      `gpu ${i}`,
      `${gpu}, ${gibibytes(memoryBytes)}, compute capability ${computeCapability}`,
    ]),
    ['cuda', cuda.available ? 'can be used, on gpu 0' : `is not used: ${cuda.reason}`],
  ];
  return rows.map(([label, text]) => `${label.padEnd(10)}${text}\n`).join('');
}
