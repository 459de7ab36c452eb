import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileProgram, spherenet } from './compiled_program';

describe('spherenet train', () => {
  let folder: string;

  beforeAll(() => {
    compileProgram();
  }, 120_000);

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'spherenet-train-'));
  });

  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it('trains and writes a report, the same for the same seed', async () => {
    const outs = [join(folder, 'first'), join(folder, 'second')];
    const numbers: unknown[] = [];
    for (const out of outs) {
      const args = ['train', '--quick', '--device', 'cpu', '--threads', '2', '--seed', '7', '--out', out];
      const { code, out: text, err } = await spherenet(args);
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(text).toMatch(/device +CPU, .*2 threads; the CPU was asked for/);
      expect(text).toContain('1,000 training and 2,500 test images');
      expect(text).toMatch(/epoch 1\/1 \| loss [\d.]+ \| accuracy [\d.]+ % \|.* images\/s/);
      expect(text).toContain(`report   ${join(out, 'index.html')}`);
      expect(readdirSync(out).sort()).toEqual(['index.html', 'results.json']);
      const { test, history, featurePlanes, command } = JSON.parse(
        readFileSync(join(out, 'results.json'), 'utf8'),
      ) as {
        test: { accuracy: number };
        history: { steps: unknown };
        featurePlanes: unknown[];
        command: string;
      };
      expect(test.accuracy).toBeGreaterThan(0.4);
      expect(featurePlanes).toHaveLength(2);
      expect(command).toContain('--seed 7 ');
      expect(readFileSync(join(out, 'index.html'), 'utf8')).toContain(command);
      numbers.push({ test, steps: history.steps, featurePlanes });
    }
    expect(numbers[1]).toEqual(numbers[0]);
  }, 120_000);

  it('answers Ctrl-C at once, says so and writes nothing', async () => {
    const out = join(folder, 'report');
    const args = ['train', '--device', 'cpu', '--epochs', '100', '--out', out];
    const { code, err, secondsToEnd } = await spherenet(args, 'epoch 1/100');
    expect({ code, err }).toEqual({ code: 130, err: '\nspherenet: interrupted; no report was written\n' });
    expect(existsSync(out)).toBe(false);
    // Within a second, says the promise; ten leave room for a machine that does much else.
    expect(secondsToEnd).toBeLessThan(10);
  }, 120_000);

  it('names a foreign file in one sentence, without a stack', async () => {
    for (const part of ['train', 't10k']) {
      writeFileSync(join(folder, `${part}-images-idx3-ubyte`), 'not an image');
      writeFileSync(join(folder, `${part}-labels-idx1-ubyte`), 'not a label');
    }
    const { code, err } = await spherenet(['train', '--data', folder, '--device', 'cpu']);
    expect(code).toBe(1);
    expect(err).toMatch(
      /^spherenet: (train|t10k)-(images-idx3|labels-idx1)-ubyte: expected an IDX file of unsigned bytes with [13] dimensions?, got a file that starts with the bytes 6e 6f 74 20\n$/,
    );
  });
});
