import { compileLibrary, runProgram } from '../support/compiled';

const compiled = compileLibrary();

afterAll(() => compiled.remove());

describe('Ctrl-C during native work', () => {
  it.each([
    ['many ops, JavaScript waiting in data()', 'waiting'],
    ['many ops, JavaScript blocked in dataSync()', 'blocking'],
    ['one op that runs for minutes', 'one-op'],
  ])('ends the process, which does not wait for it: %s', async (_, waiting) => {
    const { signal, errors } = await runProgram('interrupt.js', compiled, {
      args: [waiting],
      signal: 'SIGINT',
    });
    expect([signal, errors]).toEqual(['SIGINT', '']);
  });

  it.each([
    ['many ops', 'waiting'],
    ['one op that runs for minutes', 'one-op'],
  ])('is left to the program that handles it, which does not wait for the work: %s', async (_, waiting) => {
    const { code, errors } = await runProgram('interrupt.js', compiled, {
      args: [waiting, 'handler'],
      signal: 'SIGINT',
    });
    expect([code, errors]).toEqual([42, '']);
  });
});

describe('a process that ends while native work is under way', () => {
  it('does so with its own exit code', async () => {
    expect(await runProgram('exit_early.js', compiled, { args: ['exit'] })).toMatchObject({
      code: 7,
      signal: null,
      errors: '',
    });
  });

  it('does so after an uncaught error', async () => {
    const { code, signal, errors } = await runProgram('exit_early.js', compiled, { args: ['throw'] });
    expect([code, signal]).toEqual([1, null]);
    expect(errors).toContain('on purpose');
  });

  it('waits for what is being read, and not for what nobody reads', async () => {
    expect(await runProgram('exit_early.js', compiled, { args: ['reading'] })).toMatchObject({
      code: 0,
      output: 'read\n',
      errors: '',
    });
  });
});
