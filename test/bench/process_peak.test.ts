import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ModuleKind, transpileModule } from 'typescript';
import { highWaterMark, processPeak } from '../../ts/bench/process_peak';
import type { ProcessPeak } from '../../ts/bench/process_peak';

const SOURCE = join(__dirname, '..', '..', 'ts', 'bench', 'process_peak.ts');
const onLinux = process.platform === 'linux' ? it : it.skip;

/** The peak that a new process sees of itself. */
async function peakOfChild(): Promise<ProcessPeak> {
  const compilerOptions = { module: ModuleKind.CommonJS };
  const { outputText } = transpileModule(readFileSync(SOURCE, 'utf8'), { compilerOptions });
  const program = `${outputText}; console.log(JSON.stringify(exports.processPeak()))`;
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', program]);
  return JSON.parse(stdout) as ProcessPeak;
}

describe('the peak of a process', () => {
  it('is read from what Linux says about it', () => {
    const status = 'Name:\tnode\nVmPeak:\t 1100 kB\nVmHWM:\t   46852 kB\nVmRSS:\t   46000 kB\n';
    expect(highWaterMark(status)).toBe(46852 * 1024);
    expect(highWaterMark('Name:\tnode\nVmPeak:\t 1100 kB\n')).toBeNull();
    expect(highWaterMark(null)).toBeNull();
  });

  it('grows with memory that is touched, and stays when that is gone', () => {
    const before = processPeak().bytes;
    const size = 2 * before;
    Buffer.alloc(size, 1);
    expect(processPeak().bytes).toBeGreaterThanOrEqual(size);
  });

  onLinux('is not that of the process which started it', async () => {
    const ballast = Buffer.alloc(400e6, 1);
    const { bytes, own } = await peakOfChild();
    expect(own).toBe(true);
    expect(bytes).toBeGreaterThan(10e6);
    expect(bytes).toBeLessThan(ballast.length);
  });
});
