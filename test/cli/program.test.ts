import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { curvature, shellQuote, wholeNumber } from '../../ts/cli/options';
import { run } from '../../ts/cli/program';

async function spherenet(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const written = { out: '', err: '' };
  const code = await run(args, {
    out: (text) => void (written.out += text),
    err: (text) => void (written.err += text),
  });
  return { code, ...written };
}

describe('spherenet', () => {
  it('prints its help and its version', async () => {
    expect(await spherenet('--help')).toMatchObject({
      code: 0,
      err: '',
      out: expect.stringMatching(/^Usage: spherenet .*\n[\s\S]*train/) as string,
    });
    expect(await spherenet('--version')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string,
    });
    expect(await spherenet('train', '--help')).toMatchObject({
      code: 0,
      out: expect.stringContaining('--margin') as string,
    });
  });

  it('without a command shows what there is and fails', async () => {
    expect(await spherenet()).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringContaining('Usage: spherenet') as string,
    });
  });

  it.each([
    [['paint'], "error: unknown command 'paint'\n"],
    [['trian'], "error: unknown command 'trian'\n(Did you mean train?)\n"],
    [['train', 'now'], "error: too many arguments for 'train'. Expected 0 arguments but got 1.\n"],
    [['train', '--epoch', '3'], "error: unknown option '--epoch'\n(Did you mean --epochs?)\n"],
    [['train', '--epochs'], "error: option '--epochs <n>' argument missing\n"],
    [['train', '--epochs', '0'], 'Expected a whole number from 1 to 10000.\n'],
    [['train', '--epochs', '2.5'], 'Expected a whole number from 1 to 10000.\n'],
    [['train', '--batch-size', '1e2'], 'Expected a whole number from 2 to 100000.\n'],
    [['train', '--seed', 'x'], 'Expected a whole number of at least 0.\n'],
    [['train', '--operator', 'sine'], 'Expected one of cosine, linear, sigmoid, squaredCosine.\n'],
    [['train', '--k', '0'], "Expected a number above 0 or 'learnable'.\n"],
    [['train', '--margin', '0.5'], 'Expected a number of at least 1.\n'],
    [['train', '--margin', ''], 'Expected a number of at least 1.\n'],
    [['train', '--depth', '4'], 'Expected a multiple of 3 from 3 to 69.\n'],
    [['train', '--device', 'tpu'], 'Expected one of auto, cpu, cuda.\n'],
    [['train', '--threads', '257'], 'Expected a whole number from 1 to 256.\n'],
  ])('refuses %j', async (args, message) => {
    const { code, out, err } = await spherenet(...args);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain(message);
    expect(err.startsWith('error: ')).toBe(true);
  });

  it('refuses a curvature for an operator without one', async () => {
    expect(await spherenet('train', '--operator', 'linear', '--k', '0.3')).toEqual({
      code: 1,
      out: '',
      err: 'spherenet: --k is the curvature of operator sigmoid; operator linear has none\n',
    });
  });

  it('finds out at once that the report cannot be written', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'spherenet-cli-'));
    try {
      const file = join(folder, 'file');
      writeFileSync(file, '');
      const { code, err } = await spherenet('train', '--out', file);
      expect({ code, err }).toEqual({
        code: 1,
        err: `spherenet: --out ${file}: expected a folder, or nothing there yet, got a file\n`,
      });
      expect((await spherenet('train', '--out', join(file, 'deeper'))).err).toContain('got ENOTDIR');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('option parsers', () => {
  it('take what is meant', () => {
    expect(wholeNumber(0)('007')).toBe(7);
    expect(curvature('learnable')).toBe('learnable');
    expect(curvature('.5')).toBe(0.5);
  });

  it('quote for a shell', () => {
    expect(['a/b.c', 'a b', "it's", '$x', ''].map(shellQuote)).toEqual([
      'a/b.c',
      "'a b'",
      "'it'\\''s'",
      "'$x'",
      "''",
    ]);
  });
});
