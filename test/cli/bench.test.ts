import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BenchResults } from '../../ts/bench';
import { syntheticResults } from '../bench/synthetic';
import { compileProgram, spherenet } from './compiled_program';

beforeAll(compileProgram);

describe('spherenet bench', () => {
  let folder: string;

  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'spherenet-bench-'))));

  afterEach(() => rmSync(folder, { recursive: true }));

  it('measures, shows a table and writes the numbers', async () => {
    const { code, out, err } = await spherenet(['bench', '--quick', '--filter', 'Overhead', '--out', folder]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/1\/1 {2}overhead an op on tiny tensors\n[\s\S]*\nsphereConv2d +\d/);
    const results = JSON.parse(readFileSync(join(folder, 'results.json'), 'utf8')) as BenchResults;
    expect(results).toMatchObject({
      name: 'spherenet bench',
      effort: 'quick',
      filter: 'Overhead',
      notes: [],
    });
    expect(results.command).toContain(
      'npx spherenet bench --filter Overhead --quick --device cpu --threads ',
    );
    expect(results.machine.cores).toBeGreaterThan(0);
  });

  it('measures memory in a process of its own', async () => {
    const { code, out } = await spherenet(['bench', '--quick', '--filter', 'memory CNN-9', '--out', folder]);
    expect(code).toBe(0);
    expect(out).toMatch(/spherical +\d+ MB +\d+ MB +\d+ MB +0 B/);
  });

  it('compares two runs', async () => {
    const file = join(folder, 'results.json');
    writeFileSync(file, JSON.stringify(syntheticResults()));
    const { code, out } = await spherenet(['bench', 'compare', file, file]);
    expect({ code, out }).toEqual({
      code: 0,
      out: expect.stringMatching(/^(\d+) of \1 figures have not changed beyond the noise\n$/) as string,
    });
  });

  it('lists what there is', async () => {
    const { out } = await spherenet(['bench', '--list', '--filter', 'RESNET-32']);
    expect(out.split('\n').slice(0, -1)).toEqual([
      'layer ResNet-32 32x96x32x32 → 96 k3',
      'layer ResNet-32 32x96x32x32 → 192 k3 s2',
      'layer ResNet-32 32x192x16x16 → 192 k3',
      'layer ResNet-32 32x384x8x8 → 384 k3',
      'step ResNet-32, batch 32',
      'memory ResNet-32, batch 32',
    ]);
  });

  it.each([
    [['bench', 'compare'], "error: missing required argument 'before'\n"],
    [
      ['bench', 'compare', 'package.json', 'package.json'],
      'spherenet: package.json: expected the results.json of spherenet bench, got other JSON\n',
    ],
    [['bench', '--device', 'tpu'], 'Expected one of cpu, cuda.\n'],
    [['bench', 'fast'], "error: too many arguments for 'bench'. Expected 0 arguments but got 1.\n"],
    [
      ['bench', '--filter', 'nothing'],
      "spherenet: --filter: expected a part of a benchmark's name, such as CNN-9 or overhead, got nothing\n",
    ],
    [
      ['bench', '--out', join(__dirname, 'bench.test.ts')],
      'expected a folder, or nothing there yet, got a file\n',
    ],
  ])('refuses %j', async (args, message) => {
    const { code, err } = await spherenet(args);
    expect(code).toBe(1);
    expect(err).toContain(message);
  });
});
