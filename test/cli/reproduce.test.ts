import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXPERIMENTS } from '../../ts/experiments/reproduce';
import { compileProgram, spherenet } from './compiled_program';

async function reproduce(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const { code, out, err } = await spherenet(['reproduce', ...args]);
  return { code, out, err };
}

beforeAll(compileProgram, 120_000);

const names = EXPERIMENTS.map(({ name }) => name).join(', ');

describe('spherenet reproduce', () => {
  it('lists what there is', async () => {
    const { code, out, err } = await reproduce('--list');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    for (const { name, question } of EXPERIMENTS) expect(out).toContain(`${name}\n  ${question}\n  quick: `);
    expect(out).toMatch(/full: [\d,]+ runs, [\d,]+ training images in all\n/);
  });

  it.each([
    [['sphere'], `spherenet: reproduce: expected one of ${names}, got sphere\n`],
    [[], `spherenet: reproduce: expected the name of an experiment: ${names}\n`],
    [
      ['width'],
      'spherenet: reproduce width: --data must be a folder with CIFAR-10, the official binary files or class folders of JPEGs\n',
    ],
    [
      ['imagenet-resnet18', '--budget', 'full'],
      'spherenet: reproduce imagenet-resnet18: --imagenet must be a folder with ImageNet as train/<class>/*.JPEG and val/<class>/*.JPEG\n',
    ],
    [
      ['imagenet-resnet18', '--budget', 'full', '--imagenet', '/nowhere'],
      'spherenet: /nowhere: expected a folder with train/<class>/*.JPEG and val/<class>/*.JPEG, got nothing there\n',
    ],
    [
      ['width', '--data', '/nowhere'],
      'spherenet: /nowhere: expected a folder with data_batch_1.bin … data_batch_5.bin and test_batch.bin, or train and test with JPEGs, got nothing there\n',
    ],
    [
      ['conditioning', '--cifar100', '/nowhere'],
      'spherenet: /nowhere: expected a folder with train.bin, test.bin and fine_label_names.txt, got nothing there\n',
    ],
  ])('answers %j in one sentence', async (args, err) => {
    expect(await reproduce(...args)).toEqual({ code: 1, out: '', err });
  });

  it.each([
    [['width', '--budget', 'huge'], 'Expected one of quick, full.'],
    [['width', '--seeds', '0'], 'Expected a whole number from 1 to 100.'],
    [['width', '--device', 'tpu'], 'Expected one of auto, cpu, cuda.'],
  ])('refuses %j', async (args, message) => {
    const { code, out, err } = await reproduce(...args);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain(message);
  });

  it('writes a report and goes on from what is stored', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'spherenet-cli-'));
    try {
      const args = ['conditioning', '--seeds', '1', '--device', 'cpu', '--threads', '2', '--out', folder];
      const first = await reproduce(...args, '--only', 'G by U and V, c =');
      expect({ code: first.code, err: first.err }).toEqual({ code: 0, err: '' });
      expect(first.out).toContain('work     34 runs\n');
      expect(first.out).toContain('29 of 34 runs have not ended yet; the report says so\n');
      expect(readdirSync(join(folder, 'conditioning/runs'))).toHaveLength(5);
      const second = await reproduce(...args, '--only', 'G by U and V');
      expect(second.out).toContain('5 of 10 runs are stored in ');
      const report = readFileSync(join(folder, 'conditioning/results.md'), 'utf8');
      expect(report).toContain(
        '`npx spherenet reproduce conditioning --budget quick --seeds 1 --device cpu --threads 2`',
      );
      // The closed form and the eigenvalues, side by side.
      const [brute, closed] = ['', ', closed form'].map((end) => {
        const row = report.split('\n').find((line) => line.startsWith(`| G by U and V${end} |`));
        return row?.split('|').slice(2);
      });
      expect(brute).toHaveLength(6);
      expect(closed).toEqual(brute);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
