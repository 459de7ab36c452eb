import { join } from 'node:path';
import { device } from '../core/device';
import type { BenchContext } from './benchmark';
import { timingPlan, rotationFor } from './effort';
import { flops, label, leastBytes } from './layers';
import type { Layer, Pass } from './layers';
import { single } from './measurement';
import { imagesOf, networkLabel } from './networks';
import type { NetworkSpec } from './networks';
import { whatDiffers } from './peer_check';
import { PeerProcess } from './peer_process';
import type { PeerLine, PeerProgram } from './peer_process';
import { quartiles } from './statistics';

/** Where their programs lie, in a checkout as in the installed package. */
const FOLDER = join(__dirname, '..', '..', 'bench', 'peers');

/** Without scripts: that of onnxruntime-node would fetch the libraries for CUDA; those for a CPU are in its package. */
const NPM = `To get it: npm install --ignore-scripts --no-package-lock --prefix ${FOLDER}`;

/** Those that a CPU is compared with, on so many threads. */
export function cpuPeers(threads: number): PeerProgram[] {
  const python = process.env['SPHERENET_PYTHON'] ?? 'python3';
  return [
    {
      ...{ name: 'PyTorch', command: [python, join(FOLDER, 'pytorch.py'), String(threads)] },
      howTo: 'To get it: pip install torch, and SPHERENET_PYTHON=<that python>',
      env: PYTORCH_ENV,
    },
    {
      ...{ name: 'onnxruntime-node', howTo: NPM },
      command: [process.execPath, join(FOLDER, 'onnxruntime.mjs'), String(threads)],
    },
    { name: 'TensorFlow.js', howTo: NPM, command: [process.execPath, join(FOLDER, 'tfjs.mjs')] },
  ];
}

/** glibc keeps freed memory then, as this library does: the faster of the two settings for it. */
const PYTORCH_ENV = {
  MALLOC_MMAP_MAX_: '0',
  MALLOC_TRIM_THRESHOLD_: String(2 ** 34),
  MALLOC_TOP_PAD_: String(2 ** 26),
  PYTHONUNBUFFERED: '1',
};

/** The peers of a run. Each waits while others measure; what is missing, wrong, or failed, is told. */
export class Peers implements Disposable {
  readonly notes: string[] = [];
  readonly #running: PeerProcess[] = [];

  /** Starts all that are there and compute what this library computes. */
  static async start(programs: readonly PeerProgram[]): Promise<Peers> {
    const peers = new Peers();
    for (const program of programs) {
      const { peer, missing } = await PeerProcess.start(program);
      if (peer) await peers.#take(peer);
      else peers.notes.push(missing);
    }
    return peers;
  }

  async #take(peer: PeerProcess): Promise<void> {
    try {
      const difference = await whatDiffers(peer);
      if (difference === null) {
        this.#running.push(peer);
        return;
      }
      this.notes.push(`${peer.version} is not measured: ${difference}.`);
    } catch (error) {
      this.notes.push((error as Error).message);
    }
    peer[Symbol.dispose]();
  }

  get versions(): string[] {
    return this.#running.map(({ version }) => version);
  }

  /** Measures a layer by each peer, behind this library's own measurement of it. */
  async measureLayer(layer: Layer, { device: where, effort, emit }: BenchContext): Promise<void> {
    const request = {
      ...{ layer, plan: timingPlan(effort, where, effort.layerSeconds), compile: effort.compileLayers },
      pastBytes: rotationFor(where).pastBytes,
    };
    await this.#each(label(layer), request, (contestant, { what, samples }) => {
      const pass = what as Pass;
      const work = { flops: flops(layer, pass), bytes: leastBytes(layer, pass) };
      const names = {
        kind: 'layer',
        subject: label(layer),
        what: pass,
        contestant,
        unit: 'seconds',
      } as const;
      emit({ ...names, ...quartiles(samples ?? []), ...work });
    });
  }

  /** Training steps of CNN-9 by each peer that can train. */
  async measureStep(network: NetworkSpec, { device: where, effort, emit }: BenchContext): Promise<void> {
    if (!isKnown(network)) return;
    const subject = networkLabel(network);
    const request = {
      ...{ step: network, images: imagesOf(network), compile: true },
      plan: timingPlan(effort, where, effort.stepSeconds),
    };
    await this.#each(subject, request, (contestant, { what = '', samples }) => {
      const names = { kind: 'step', subject, what, contestant, unit: 'seconds' } as const;
      emit({ ...names, ...quartiles(samples ?? []), images: network.batch });
    });
  }

  /** Memory of the same steps, each in a new process with the allocator's usual settings. */
  async measureMemory(network: NetworkSpec, { emit }: BenchContext): Promise<void> {
    if (!isKnown(network)) return;
    const subject = networkLabel(network);
    for (const { program } of [...this.#running]) {
      for (const angular of [false, true]) {
        const { peer, missing } = await PeerProcess.start({ ...program, env: { PYTHONUNBUFFERED: '1' } });
        if (!peer) {
          this.notes.push(missing);
          continue;
        }
        using fresh = peer;
        const request = { memory: { ...network, angular, compiled: false }, images: imagesOf(network) };
        for (const { contestant, what, bytes, note } of await fresh.ask(request)) {
          if (note !== undefined) this.notes.push(`${program.name}, memory of ${subject}: ${note}`);
          if (contestant === undefined || what === undefined || bytes === undefined) continue;
          const names = {
            kind: 'memory',
            subject,
            what,
            contestant: `${program.name} ${contestant}`,
          } as const;
          emit({ ...names, unit: 'bytes', ...single(bytes) });
        }
      }
    }
  }

  async #each(
    subject: string,
    request: object,
    take: (contestant: string, line: PeerLine) => void,
  ): Promise<void> {
    for (const peer of [...this.#running]) {
      const { name } = peer.program;
      device.synchronize();
      try {
        for (const line of await peer.ask(request)) {
          if (line.note !== undefined) this.notes.push(`${name}, ${subject}: ${line.note}`);
          else if (line.contestant !== undefined) take(`${name} ${line.contestant}`, line);
        }
      } catch (error) {
        this.notes.push(`${subject}: ${(error as Error).message}`);
        this.#running.splice(this.#running.indexOf(peer), 1);
        peer[Symbol.dispose]();
      }
      // Threads that a library has left spinning for more work are asleep by then.
      await new Promise((resolve) => setTimeout(resolve, SPIN_MILLISECONDS));
    }
  }

  [Symbol.dispose](): void {
    for (const peer of this.#running) peer[Symbol.dispose]();
  }
}

const SPIN_MILLISECONDS = 250;

/** Peers train CNN-9 at its full width only. */
function isKnown({ name, width }: NetworkSpec): boolean {
  return name === 'CNN-9' && (width ?? 1) === 1;
}
