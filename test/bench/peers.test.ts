import { join } from 'node:path';
import type { BenchContext } from '../../ts/bench/benchmark';
import { CeilingProbe } from '../../ts/bench/ceilings';
import { flops, label, layersFor, leastBytes } from '../../ts/bench/layers';
import type { Layer } from '../../ts/bench/layers';
import type { Measurement } from '../../ts/bench/measurement';
import { cpuPeers, Peers } from '../../ts/bench/peers';
import type { PeerProgram } from '../../ts/bench/peer_process';
import { TINY } from './tiny';

const SCRIPT = join(__dirname, '..', 'support', 'programs', 'peer.js');
const LAYER = layersFor('cpu')[5] as Layer;
const CNN9 = { name: 'CNN-9', angular: false, batch: 64 } as const;

/** The peer of test/support/programs, as it is, missing or dying. */
function abacus(how = ''): PeerProgram {
  return { name: 'Abacus', command: [process.execPath, SCRIPT, how], howTo: 'To get it: carve one' };
}

function listen(): { context: BenchContext; found: Measurement[] } {
  const found: Measurement[] = [];
  const context: BenchContext = {
    ...{ device: 'cpu', effort: TINY, peers: null, signal: new AbortController().signal },
    ceilings: new CeilingProbe('cpu', 0.01),
    measureMemory: () => Promise.reject(new Error('not asked for')),
    emit: (measurement) => void found.push(measurement),
    note: () => undefined,
  };
  return { context, found };
}

describe('peers', () => {
  it('measure layers, steps and memory under their own names', async () => {
    using peers = await Peers.start([abacus()]);
    expect(peers.versions).toEqual(['Abacus 1.0']);
    const { context, found } = listen();
    await peers.measureLayer(LAYER, context);
    await peers.measureStep(CNN9, context);
    await peers.measureMemory(CNN9, context);
    expect(found[0]).toEqual({
      ...{
        kind: 'layer',
        subject: label(LAYER),
        what: 'forward',
        contestant: 'Abacus conv2d',
        unit: 'seconds',
      },
      ...{ median: 2, q1: 1.5, q3: 2.5, runs: 3 },
      ...{ flops: flops(LAYER), bytes: leastBytes(LAYER, 'forward') },
    });
    expect(found[1]).toMatchObject({ kind: 'step', subject: 'CNN-9, batch 64', median: 4, images: 64 });
    expect(found[2]).toMatchObject({ kind: 'memory', contestant: 'Abacus plain', unit: 'bytes', median: 5 });
    expect(peers.notes[0]).toBe(`Abacus, ${label(LAYER)}: beads are slow`);
  });

  it('are asked only for networks that they have', async () => {
    using peers = await Peers.start([abacus()]);
    const { context, found } = listen();
    await peers.measureStep({ ...CNN9, name: 'ResNet-32' }, context);
    await peers.measureMemory({ ...CNN9, width: 0.5 }, context);
    expect(found).toEqual([]);
  });

  it('that are missing are named, with the reason and how to get them', async () => {
    const nowhere: PeerProgram = {
      name: 'Quipu',
      command: ['/no/such/program'],
      howTo: 'To get it: tie knots',
    };
    using peers = await Peers.start([abacus('missing'), nowhere]);
    expect(peers.versions).toEqual([]);
    expect(peers.notes).toEqual([
      'Abacus is missing: no abacus is installed. To get it: carve one',
      'Quipu is missing: spawn /no/such/program ENOENT. To get it: tie knots',
    ]);
  });

  it('that compute something else, or do not say what, are not measured', async () => {
    using peers = await Peers.start([abacus('wrong'), abacus('silent')]);
    expect(peers.versions).toEqual([]);
    const [wrong, silent] = peers.notes;
    expect(wrong).toMatch(
      /^Abacus 1\.0 is not measured: its SphereConv y is off by [\d.]+ of the largest value/,
    );
    expect(silent).toBe('Abacus 1.0 is not measured: it did not say what its SphereConv gives.');
  });

  it('that end are left out from then on', async () => {
    using peers = await Peers.start([abacus('dies'), abacus()]);
    const { context, found } = listen();
    await peers.measureLayer(LAYER, context);
    await peers.measureLayer(LAYER, context);
    expect(found).toHaveLength(2);
    const [first, ...others] = peers.notes;
    expect(first).toContain(`${label(LAYER)}: Abacus did not answer: `);
    expect(others.filter((note) => note.includes('did not answer'))).toEqual([]);
  });

  it('of a CPU are PyTorch, onnxruntime-node and TensorFlow.js', () => {
    expect(cpuPeers(2).map(({ name }) => name)).toEqual(['PyTorch', 'onnxruntime-node', 'TensorFlow.js']);
    for (const { howTo } of cpuPeers(2)) expect(howTo).toMatch(/^To get it: /);
  });
});
