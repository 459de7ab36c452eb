import { compileLibrary, runProgram } from '../support/compiled';

interface Sample {
  step: number;
  value: number;
  tensors: number;
  bytes: number;
  cachedBytes: number;
  resident: number;
}

describe('2,000 training steps', () => {
  it('leave memory() where step 10 left it, and the resident size flat', async () => {
    const compiled = compileLibrary();
    const { code, output, errors } = await runProgram('soak.js', compiled, {
      nodeArgs: ['--expose-gc', '--max-semi-space-size=1'],
    });
    compiled.remove();
    expect([code, errors]).toEqual([0, '']);
    const { samples, left } = JSON.parse(output) as { samples: Sample[]; left: number };
    const memoryOf = ({ tensors, bytes, cachedBytes }: Sample): unknown => ({ tensors, bytes, cachedBytes });
    const [first, ...later] = samples as [Sample, ...Sample[]];
    expect(later.at(-1)?.step).toBe(2000);
    for (const sample of later) expect(memoryOf(sample)).toEqual(memoryOf(first));
    expect(left).toBe(0);
    // V8 doubles its young generation under load, which is why it is kept small. From step 200 on, when JavaScript has
    // been compiled: within 8 MiB, some 4 KiB a step.
    const resident = later.map((sample) => sample.resident);
    expect(Math.max(...resident) - (resident[0] as number)).toBeLessThan(8 * 2 ** 20);
    expect(later.at(-1)?.value).toBeLessThan(first.value);
  });
});
