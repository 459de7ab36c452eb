/**
 * The tarball, installed from the file into an empty folder: without network, install scripts, compiler, Python or CUDA.
 * Nothing of the checkout is reached from there, but for the compiler of TypeScript and its types for Node.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript';
import type { BenchResults } from '../../ts/bench';
import type { Info } from '../../ts/cli/info';
import { binding, loaded } from '../../ts/core/binding';
import { platformName } from '../../ts/core/loader';
import { askingAddon, fakeDriver } from './drivers';
import { Installation, manifestOf, ROOT, runIn, runtimeDependencies } from './tarball';
import type { Outcome } from './tarball';

const PROGRAM = readFileSync(join(__dirname, 'programs/train.mts'), 'utf8');
const MINUTES = 60_000;
let app: Installation;
let addon: string;
let stamp: string;

beforeAll(() => {
  app = new Installation();
  console.log(
    `${app.tarball.files.length} files, ${(app.tarball.bytes / 1e6).toFixed(2)} MB, installed in ${app.seconds.toFixed(1)} s`,
  );
  addon = join(app.packageFolder, `prebuilds/${platformName()}.node`);
  stamp = addon.replace(/node$/, 'json');
}, 10 * MINUTES);

afterAll(() => {
  app?.remove();
});

/** What the training program must print, whatever it was written in. */
function expectTrained({ status, stdout, stderr }: Outcome): void {
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const { first, last, bytes } = JSON.parse(stdout) as { first: number; last: number; bytes: number };
  expect(last).toBeLessThan(first);
  expect(bytes).toBeGreaterThan(0);
}

/** The program in JavaScript, with imports as they are or as calls of require. */
function javaScript(module: ModuleKind.CommonJS | ModuleKind.ESNext): string {
  return transpileModule(PROGRAM, { compilerOptions: { module, target: ScriptTarget.ES2022 } }).outputText;
}

describe('the tarball', () => {
  it('holds what runs and what builds it from source, and nothing else', () => {
    const { files, bytes } = app.tarball;
    expect(bytes).toBeLessThan(15e6);
    // A release addon with its kernels for GPUs needs the rest, and hardly gets smaller.
    expect(bytes - gzipSync(readFileSync(addon)).length).toBeLessThan(5.5e6);
    for (const file of [
      ...[
        'dist/index.js',
        'dist/index.d.ts',
        'dist/cli/main.js',
        'data/fashion-mnist/train-images-idx3-ubyte.br',
      ],
      ...[`prebuilds/${platformName()}.node`, `prebuilds/${platformName()}.json`],
      ...[
        'native/binding.gyp',
        'native/sources.txt',
        'cuda/device.cc',
        'CMakeLists.txt',
        'scripts/build-native.mjs',
      ],
      ...['README.md', 'CHANGELOG.md', 'LICENSE'],
    ]) {
      expect(files).toContain(file);
    }
    // In the root it would make `npm ci` run node-gyp.
    expect(files).not.toContain('binding.gyp');
    const folders = new Set(files.map((file) => file.split('/')[0]));
    for (const folder of ['test', 'ts', 'build', 'node_modules', '.ci'])
      expect(folders).not.toContain(folder);
    const strange = /^bench\/(?!peers\/[^/]+$)|^dist\/bench\/gpu|^docs\/api/;
    expect(files.filter((file) => strange.test(file))).toEqual([]);
  });

  it('has no install script, nor has any runtime dependency', () => {
    const manifests = [
      JSON.parse(readFileSync(join(app.packageFolder, 'package.json'), 'utf8')) as ReturnType<
        typeof manifestOf
      >,
      ...runtimeDependencies().map(manifestOf),
    ];
    for (const { scripts = {} } of manifests) {
      for (const name of ['preinstall', 'install', 'postinstall']) expect(scripts).not.toHaveProperty(name);
    }
  });

  it.each(['publint/src/cli.js', '@arethetypeswrong/cli/dist/index.js'])(
    'is as %s wants it',
    (tool) => {
      const program = join(ROOT, 'node_modules', tool);
      const args = tool.startsWith('publint') ? ['run', '--strict'] : ['--no-color'];
      const { status, stdout } = spawnSync(process.execPath, [program, ...args, app.tarball.path], {
        encoding: 'utf8',
      });
      expect({ status, stdout }).toEqual({ status: 0, stdout });
    },
    MINUTES,
  );
});

describe('an installed package', () => {
  it.each([
    ['an ES module', 'train.mjs', ModuleKind.ESNext],
    ['CommonJS', 'train.cjs', ModuleKind.CommonJS],
  ] as const)('trains from %s', (_, file, module) => {
    writeFileSync(join(app.folder, file), javaScript(module));
    expectTrained(app.node([file]));
  });

  it(
    'trains from TypeScript, whose compiler knows every type',
    () => {
      const types = join(app.folder, 'node_modules/@types');
      mkdirSync(types);
      symlinkSync(join(ROOT, 'node_modules/@types/node'), join(types, 'node'));
      writeFileSync(join(app.folder, 'train.mts'), PROGRAM);
      const settings = {
        target: 'ES2022',
        module: 'Node16',
        strict: true,
        skipLibCheck: false,
        outDir: 'out',
      };
      const config = { compilerOptions: { ...settings, types: ['node'] }, files: ['train.mts'] };
      writeFileSync(join(app.folder, 'tsconfig.json'), JSON.stringify(config));
      const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
      expect(app.node([compiler])).toMatchObject({ status: 0, stdout: '' });
      expectTrained(app.node(['out/train.mjs']));
      writeFileSync(join(app.folder, 'train.mts'), `${PROGRAM}\nconst wrong: string = layer.forward;\n`);
      expect(app.node([compiler])).toMatchObject({
        status: 2,
        stdout: expect.stringContaining('TS2322') as string,
      });
    },
    2 * MINUTES,
  );

  it('trains from a folder that cannot be written to, as another user', () => {
    const asRoot = process.getuid?.() === 0;
    for (const folder of app.parents.slice(0, 1)) chmodSync(folder, 0o755);
    spawnSync('chmod', ['-R', 'a-w,a+rX', app.folder]);
    try {
      const nobody = asRoot ? { uid: 65534, gid: 65534 } : {};
      const env = { ...app.env, HOME: '/nonexistent' };
      const touch = `require('fs').writeFileSync('${join(app.packageFolder, 'x')}', '')`;
      expect(runIn(app.folder, env, process.execPath, ['-e', touch], nobody).stderr).toContain('EACCES');
      expectTrained(runIn(app.folder, env, process.execPath, ['train.cjs'], nobody));
    } finally {
      spawnSync('chmod', ['-R', 'u+w', app.folder]);
    }
  });

  it('tells what it is and why it does not use CUDA', () => {
    const { stdout } = app.spherenet(['info', '--json']);
    const info = JSON.parse(stdout) as Info;
    expect(info.addon).toEqual({ path: addon, origin: 'prebuilt', build: loaded.build });
    expect(info.platform).toMatchObject({ name: platformName(), node: process.versions.node });
    expect(info.cpu.simd).toBe(binding.simd());
    expect(info.cuda.available).toBe(info.cuda.reason === '');
    const words = app.spherenet(['info']).stdout;
    for (const part of [info.version, addon, '(prebuilt)', info.cpu.model, info.cpu.simd, info.cuda.reason]) {
      expect(words).toContain(part);
    }
  });
});

it('spherenet ends without an error where its reader has enough', () => {
  const program = `"${process.execPath}" node_modules/.bin/spherenet reproduce --list | /usr/bin/head -n 1`;
  expect(runIn(app.folder, app.env, '/bin/sh', ['-c', program])).toMatchObject({
    stdout: 'loss-operator-table\n',
    stderr: '',
  });
});

describe('spherenet bench in an installed package', () => {
  it(
    'measures a layer, names the peers that are missing and writes numbers and figures',
    () => {
      const args = ['bench', '--quick', '--peers', '--filter', '64x96x8x8'];
      const { status, stdout, stderr } = app.spherenet(args);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      const folder = join(app.folder, 'spherenet-bench');
      const { command, version, measurements, peers, notes } = JSON.parse(
        readFileSync(join(folder, 'results.json'), 'utf8'),
      ) as BenchResults;
      expect(version).toBe(loaded.build.version);
      expect(command).toMatch(/^npx spherenet bench --filter 64x96x8x8 --peers --quick /);
      expect(measurements.map(({ subject }) => subject)).toContain('CNN-9 64x96x8x8 → 128 k3');
      expect(peers).toEqual([]);
      expect(stdout).toContain('CNN-9 64x96x8x8 → 128 k3');
      for (const peer of ['PyTorch', 'onnxruntime-node', 'TensorFlow.js']) {
        expect(notes.join('\n')).toContain(`${peer} is missing: `);
        expect(stdout).toContain(`${peer} is missing: `);
      }
      expect(readFileSync(join(folder, 'roofline.svg'), 'utf8')).toMatch(/^<svg [^]*<\/svg>\s*$/);
    },
    2 * MINUTES,
  );
});

describe('an addon that does not fit', () => {
  const require = (env: Record<string, string> = {}): Outcome =>
    app.node(['-e', "require('spherenet')"], env);

  /** Puts something else in the place of a file as long as `check` runs. */
  function replaced(path: string, content: string | Buffer | null, check: () => void): void {
    renameSync(path, `${path}.kept`);
    try {
      if (content !== null) writeFileSync(path, content);
      check();
    } finally {
      renameSync(`${path}.kept`, path);
    }
  }

  /** One message, of an error and not of a crash, that has these parts, what was found and how to build it. */
  function expectRefused({ status, signal, stderr }: Outcome, ...parts: string[]): void {
    expect({ status, signal }).toEqual({ status: 1, signal: null });
    const { version } = loaded.build;
    for (const part of [
      `SphereNetError: the native addon of spherenet ${version} cannot be loaded on ${platformName()}`,
      `Node ${process.versions.node}`,
      ...parts,
    ]) {
      expect(stderr).toContain(part);
    }
  }

  const build = (): string => `npm --prefix ${app.packageFolder} run build:native`;
  const again = (): string =>
    `remove ${app.packageFolder} and install spherenet ${loaded.build.version} again`;
  const flipped = (): Buffer => {
    const bytes = readFileSync(addon);
    const middle = bytes.length >> 1;
    bytes[middle] = bytes[middle]! ^ 1;
    return bytes;
  };

  it.each([
    ['truncated', () => readFileSync(addon).subarray(0, 5000), 'is damaged: it has 5000 bytes'],
    ['changed by one bit', flipped, 'is damaged: its content is not what was packed'],
    ['a text', () => 'a page of a proxy', 'is damaged: it has 17 bytes'],
    ['missing', () => null, 'is not there'],
  ])('is refused where it is %s', (_, content, reason) => {
    replaced(addon, content(), () => {
      const origin = join(app.packageFolder, 'build/Release/spherenet.node');
      expectRefused(require(), `${origin} (built from source) is not there`, `${addon} (prebuilt) ${reason}`);
      expectRefused(require(), again(), build());
    });
  });

  it('is refused where its stamp is of another version, of a newer Node or missing', () => {
    const written = JSON.parse(readFileSync(stamp, 'utf8')) as object;
    replaced(stamp, JSON.stringify({ ...written, version: '9.9.9' }), () => {
      const reason = `was built for spherenet 9.9.9, and this is ${loaded.build.version}`;
      expectRefused(require(), reason, again(), build());
    });
    replaced(stamp, JSON.stringify({ ...written, nodeApi: 99 }), () => {
      expectRefused(require(), 'needs Node-API 99, and Node', 'use a newer Node: 20.17', build());
    });
    replaced(stamp, null, () => {
      expectRefused(require(), `its stamp ${stamp} cannot be read`, again(), build());
    });
  });

  it('is refused after it was loaded where it is of another version itself', () => {
    const manifest = join(app.packageFolder, 'package.json');
    const other = readFileSync(manifest, 'utf8').replace(
      `"version": "${loaded.build.version}"`,
      '"version": "9.9.9"',
    );
    const folder = join(app.packageFolder, 'build/Release');
    mkdirSync(folder, { recursive: true });
    cpSync(addon, join(folder, 'spherenet.node'));
    try {
      replaced(manifest, other, () => {
        const { stderr } = require();
        expect(stderr).toContain(
          `(built from source) was built for spherenet ${loaded.build.version}, and this is 9.9.9`,
        );
      });
      // As it should be, it goes before the prebuilt one.
      const info = JSON.parse(app.spherenet(['info', '--json']).stdout) as Info;
      expect(info.addon.origin).toBe('built from source');
    } finally {
      spawnSync('rm', ['-r', dirname(folder)]);
    }
  });

  it('that was named by SPHERENET_BINDING is not replaced by another', () => {
    const named = join(app.folder, 'other.node');
    expectRefused(
      require({ SPHERENET_BINDING: named }),
      `${named} (SPHERENET_BINDING) is not there`,
      'unset',
    );
    writeFileSync(named, 'no addon but a text that is as long as the header of one would be: 64 bytes');
    expectRefused(require({ SPHERENET_BINDING: named }), 'invalid ELF header', 'unset');
  });

  it('is explained by spherenet info, too', () => {
    replaced(addon, null, () => {
      const { status, stdout, stderr } = app.spherenet(['info', '--json']);
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr).toContain(build());
    });
  });
});

describe('a driver that cannot be used', () => {
  let asking: Record<string, string>;

  beforeAll(() => {
    const folder = join(app.folder, 'drivers');
    mkdirSync(folder);
    asking = { SPHERENET_BINDING: askingAddon(folder, loaded.build) };
    for (const name of ['old_driver', 'crashing_driver', 'silent_driver']) fakeDriver(folder, name);
  }, 2 * MINUTES);

  const withDriver = (name: string, env: Record<string, string> = {}): Info['cuda'] => {
    const driver = { LD_LIBRARY_PATH: join(app.folder, 'drivers', name), ...env };
    const { status, stdout, stderr } = app.spherenet(['info', '--json'], { ...asking, ...driver });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    return (JSON.parse(stdout) as Info).cuda;
  };

  it('is too old: what was found and what is needed', () => {
    for (const env of [{}, { SPHERENET_CUDA_PROBE: '0' }]) {
      expect(withDriver('old_driver', env)).toMatchObject({
        ...{ compiled: true, available: false, driverVersion: 12040, runtimeVersion: 13000, devices: [] },
        reason:
          'the NVIDIA driver is too old: it serves CUDA 12.4, and this build needs CUDA 13.0 (driver 580 or newer)',
      });
    }
  });

  it('crashes: a reason, and the program trains on', () => {
    const { available, reason } = withDriver('crashing_driver');
    expect(available).toBe(false);
    expect(reason).toMatch(/^the NVIDIA driver crashed when it was asked for its GPUs: SIGSEGV/);
    expect(reason).toContain('nvidia-smi');
    const driver = { LD_LIBRARY_PATH: join(app.folder, 'drivers/crashing_driver') };
    expectTrained(app.node(['train.cjs'], { ...asking, ...driver }));
    // In its own process it would have been the end.
    const alone = app.node(['train.cjs'], { ...asking, ...driver, SPHERENET_CUDA_PROBE: '0' });
    expect(alone.signal).toBe('SIGSEGV');
  });

  it('ends the process without a word', () => {
    expect(withDriver('silent_driver').reason).toContain(
      'crashed when it was asked for its GPUs: exit code 0',
    );
  });
});
