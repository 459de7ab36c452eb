/** The examples of README.md, as they stand there: they compile, run and leave nothing behind but what they made. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileFunction } from 'node:vm';
import * as ts from 'typescript';
import * as library from '../ts/index';

const ROOT = join(__dirname, '..');
const blocks = [...readFileSync(join(ROOT, 'README.md'), 'utf8').matchAll(/```ts\n(.*?)```/gs)].map(
  ([, code]) => code as string,
);

/** Compile errors of a module that stands beside ts/. */
function complaints(code: string): string[] {
  const file = join(ROOT, 'example.ts');
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), ts.sys.readFile) as { config: object };
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  const paths = { spherenet: [join(ROOT, 'ts/index.ts')] };
  const host = ts.createCompilerHost({ ...options });
  const readSource = host.getSourceFile.bind(host);
  host.getSourceFile = (name, language) =>
    name === file ? ts.createSourceFile(name, code, language) : readSource(name, language);
  host.fileExists = (name) => name === file || ts.sys.fileExists(name);
  const esm = { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler };
  const program = ts.createProgram([file], { ...options, ...esm, paths, noUnusedLocals: false }, host);
  const source = program.getSourceFile(file);
  return ts
    .getPreEmitDiagnostics(program, source)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

type Disposables = Set<{ dispose(): void }>;

/** A namespace whose classes and functions note what they make, so that it can be freed after an example. */
function noting<T extends object>(namespace: T, made: Disposables): T {
  const note = (value: unknown): object => {
    if (typeof (value as { dispose?: unknown }).dispose === 'function')
      made.add(value as { dispose(): void });
    return value as object;
  };
  const handler: ProxyHandler<new (...args: unknown[]) => object> = {
    construct: (target, args) => note(new target(...args)),
    apply: (target, self, args: unknown[]) => note(Reflect.apply(target, self, args)),
  };
  const entries = Object.entries(namespace).map(([name, value]: [string, unknown]) => [
    name,
    typeof value === 'function' ? new Proxy(value as new () => object, handler) : value,
  ]);
  return Object.fromEntries(entries) as T;
}

/** Runs an example on few images, with a console of ours; answers what it printed. */
async function run(code: string): Promise<unknown[]> {
  const printed: unknown[] = [];
  const made: Disposables = new Set();
  const { train, test } = await library.data.fashionMnist();
  const few = {
    train: library.data.pick(
      train,
      Array.from({ length: 128 }, (_, i) => i * 70),
    ),
    test: library.data.pick(
      test,
      Array.from({ length: 250 }, (_, i) => i * 10),
    ),
  };
  const noted = {
    ...library,
    data: { ...library.data, fashionMnist: () => Promise.resolve(few) },
    models: noting(library.models, made),
    nn: noting(library.nn, made),
    optim: noting(library.optim, made),
  };
  const { outputText } = ts.transpileModule(code, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
  });
  const execute = compileFunction(`return (async () => {${outputText}})()`, [
    'require',
    'exports',
    'console',
  ]) as (...args: unknown[]) => Promise<void>;
  await execute(() => noted, {}, { log: (value: unknown) => printed.push(value) });
  for (const object of made) object.dispose();
  return printed;
}

it('has three examples', () => {
  expect(blocks).toHaveLength(3);
});

it.each([0, 1, 2])('compiles example %i', (i) => {
  expect(complaints(blocks[i] as string)).toEqual([]);
});

it('trains the first', async () => {
  const [epoch] = (await run(blocks[0] as string)) as [library.EpochRecord];
  expect(epoch.epoch).toBe(3);
  expect(epoch.trainLoss).toBeGreaterThan(0);
  expect(epoch.evalAccuracy).toBeGreaterThan(0.1);
});

it('steps the second', async () => {
  const code = `${blocks[1] as string}\nloss.dispose();`;
  const [loss] = (await run(code)) as [number];
  expect(loss).toBeGreaterThan(0);
});

it('finds a device in the third', async () => {
  const before = library.device.current();
  expect(await run(blocks[2] as string)).toEqual(['cpu']);
  library.device.use(before);
});
