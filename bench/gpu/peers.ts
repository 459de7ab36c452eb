// The stage `peers`: the same layers and the same network by cuDNN itself and by PyTorch.
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findProgram, parseLine, runCommand } from '#bench/commands';
import { baselineProgram, ROOT } from './environment';
import { GPU_LAYERS, layerWords } from './layers';
import { secondsLeft, StageFile } from './session';
import type { Session } from './session';
import { SMALL, TARGET } from './target';

/** One pass of a plain convolution by cuDNN's fastest engine, or why there is none. */
export interface CudnnPass {
  microseconds?: number;
  engine?: number;
  workspaceBytes?: number;
  plansTried?: number;
  error?: string;
}

export interface CudnnLayer {
  forward: CudnnPass;
  dataGradient: CudnnPass;
  weightGradient: CudnnPass;
}

/** A figure of bench/gpu/peers.py, in microseconds per call. */
export interface TorchFigure {
  item: string;
  /** Calls from Python one after the other, as a user has it. */
  eager?: number;
  /** The same calls as a CUDA graph: no time between kernels. */
  graph?: number;
  error?: string;
}

export interface PeersData {
  cudnn: { version: number; library: string } | null;
  /** By dtype ('bf16', 'tf32') and layer. */
  cudnnLayers: Record<string, Record<string, CudnnLayer>>;
  torch: Record<string, unknown> | null;
  torchFigures: Record<string, TorchFigure>;
}

type TorchLine = TorchFigure & { torch?: string; missing?: string; left?: number };
type CudnnLine = { cudnn?: number; library?: string; layer?: number[]; error?: string } & Partial<CudnnLayer>;

async function runCudnn(
  session: Session,
  file: StageFile<PeersData>,
  dtype: string,
  share: number,
): Promise<void> {
  const { data } = file;
  const done = (data.cudnnLayers[dtype] ??= {});
  const missing = GPU_LAYERS.filter(
    (layer) => !done[layerWords(layer)] && (dtype === 'bf16' || layer.network === 'CNN-9'),
  );
  if (missing.length === 0) return;
  const program = baselineProgram(session.work);
  if (!program) {
    file.note('cuDNN was not measured: the bundle has no cudnn_baseline, and it could not be compiled here');
    return;
  }
  const seconds = secondsLeft(session) * share;
  const folders = await cudnnFolders();
  let problem = '';
  const result = await runCommand(
    program,
    [
      '--dtype',
      dtype,
      '--seconds',
      String(seconds * 0.8),
      ...folders.flatMap((folder) => ['--cudnn', folder]),
    ],
    {
      seconds: seconds + 5,
      input: missing.map((layer) => `${layerWords(layer)}\n`).join(''),
      env: libraryPath(folders),
      onLine(line) {
        const answer = parseLine(line) as CudnnLine | null;
        if (!answer) return;
        if (answer.error !== undefined) problem = answer.error;
        if (answer.cudnn) data.cudnn = { version: answer.cudnn, library: answer.library ?? '' };
        const { layer, forward, dataGradient, weightGradient } = answer;
        if (!layer || !forward || !dataGradient || !weightGradient) return;
        done[layer.join(' ')] = { forward, dataGradient, weightGradient };
        file.save();
      },
    },
  );
  if (result.timedOut) problem = 'its time was over';
  else if (result.code !== 0 && !problem) problem = result.errors || `it ended with ${result.code}`;
  if (problem) file.note(`cuDNN ${dtype}, ${Object.keys(done).length} layers measured: ${problem}`);
}

/** Where Python's wheels have cuDNN. */
async function cudnnFolders(): Promise<string[]> {
  const python = findProgram('python3');
  if (!python) return [];
  const folders: string[] = [];
  const code =
    'import sys\nfor p in sys.path:\n    if p.endswith("-packages"): print(p)\n' +
    'try:\n    import importlib.util as u\n    s = u.find_spec("nvidia")\n' +
    '    [print("+" + p) for p in (s.submodule_search_locations if s else [])]\nexcept Exception: pass';
  await runCommand(python, ['-c', code], {
    seconds: 30,
    onLine(line) {
      folders.push(line.startsWith('+') ? line.slice(1) : join(line, 'nvidia'));
    },
  });
  const found = folders.map((folder) => join(folder, 'cudnn', 'lib'));
  return [...new Set(found)].filter((folder) => existsSync(join(folder, 'libcudnn.so.9')));
}

/** Engines that are compiled at run time need the compiler of a neighbouring wheel. */
function libraryPath(folders: readonly string[]): Record<string, string> {
  const wheels = folders.map((folder) => dirname(dirname(folder)));
  const all = wheels.flatMap((wheel) => readdirSync(wheel).map((name) => join(wheel, name, 'lib')));
  const path = [...all.filter((folder) => existsSync(folder)), process.env['LD_LIBRARY_PATH'] ?? ''];
  return { LD_LIBRARY_PATH: path.filter(Boolean).join(':') };
}

async function runTorch(session: Session, file: StageFile<PeersData>): Promise<void> {
  const { data } = file;
  const python = findProgram('python3');
  const script = [join(ROOT, 'peers.py'), join(ROOT, 'bench', 'gpu', 'peers.py')].find((path) =>
    existsSync(path),
  );
  if (!python || !script) {
    file.note(`PyTorch was not measured: ${python ? 'peers.py' : 'python3'} was not found`);
    return;
  }
  let problem = '';
  const seconds = secondsLeft(session);
  const result = await runCommand(
    python,
    [
      script,
      ...['--seconds', String(seconds * 0.9), '--device', TARGET],
      ...(SMALL ? ['--small'] : []),
      ...['--done', JSON.stringify(Object.keys(data.torchFigures))],
    ],
    {
      seconds: seconds + 5,
      input: GPU_LAYERS.map((layer) => `${layerWords(layer)}\n`).join(''),
      env: { PYTHONUNBUFFERED: '1', TORCHINDUCTOR_CACHE_DIR: join(session.work, 'inductor') },
      onLine(line) {
        const answer = parseLine(line) as TorchLine | null;
        if (!answer) return;
        if (answer.missing) problem = answer.missing;
        if (answer.left) problem = `${answer.left} figures are missing: its time was over`;
        if (answer.torch) data.torch = { ...answer };
        if (!answer.item) return;
        data.torchFigures[answer.item] = answer;
        file.saveNowAndThen();
      },
    },
  );
  if (result.timedOut) problem ||= 'its time was over';
  else if (result.code !== 0) problem ||= result.errors || `it ended with ${result.code}`;
  if (problem) file.note(`PyTorch, ${Object.keys(data.torchFigures).length} figures: ${problem}`);
}

export async function peers(session: Session): Promise<number> {
  const file = new StageFile<PeersData>(session, {
    ...{ cudnn: null, cudnnLayers: {}, torch: null, torchFigures: {} },
  });
  file.record.notes.length = 0;
  await runCudnn(session, file, 'bf16', 0.45);
  file.save();
  await runTorch(session, file);
  file.save();
  if (secondsLeft(session) > 5) await runCudnn(session, file, 'tf32', 0.9);
  file.finish(file.record.notes.length === 0);
  const { cudnnLayers, torchFigures } = file.data;
  const layers = Object.values(cudnnLayers).reduce((sum, each) => sum + Object.keys(each).length, 0);
  console.log(`  cuDNN: ${layers} layers; PyTorch: ${Object.keys(torchFigures).length} figures`);
  return 0;
}
