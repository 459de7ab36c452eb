/** Asks the NVIDIA driver for the first time where a crash of it costs nothing but a child process. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { binding, loaded } from './binding';
import type { NativeCudaStatus } from './binding';

/** Device nodes of NVIDIA's kernel driver, of WSL and of Jetson boards. */
const DEVICE_NODES = ['/dev/nvidiactl', '/dev/nvidia0', '/dev/dxg', '/dev/nvhost-gpu'];
const DRIVER = 'libcuda.so.1';
/** Where the dynamic linker looks without its cache. */
const LIBRARY_FOLDERS = ['/lib64', '/usr/lib64', '/lib', '/usr/lib'];
const LINKER_CACHE = '/etc/ld.so.cache';
/** A driver that initialises many GPUs takes some seconds. */
const MOST_MILLISECONDS = 60_000;

/** Answers through descriptor 3, as a driver may print. */
const PROGRAM = `
  const addon = { exports: {} };
  process.dlopen(addon, process.argv[1]);
  require('node:fs').writeSync(3, JSON.stringify(addon.exports.cudaStatus()));`;

/** Whether there is any sign of a driver. Where there is none, asking finds none and loads nothing. */
function mayHaveDriver(): boolean {
  if (process.platform !== 'linux') return false;
  const folders = [...(process.env['LD_LIBRARY_PATH'] ?? '').split(':').filter(Boolean), ...LIBRARY_FOLDERS];
  return (
    DEVICE_NODES.some((node) => existsSync(node)) ||
    folders.some((folder) => existsSync(join(folder, DRIVER))) ||
    (existsSync(LINKER_CACHE) && readFileSync(LINKER_CACHE).includes(DRIVER))
  );
}

const unavailable = (reason: string): NativeCudaStatus => ({
  compiled: true,
  available: false,
  reason,
  driverVersion: 0,
  runtimeVersion: Math.round(Number(loaded.build.cuda) * 1000),
  devices: [],
});

function probeInChild(path: string): NativeCudaStatus {
  const { status, signal, error, stderr, output } = spawnSync(process.execPath, ['-e', PROGRAM, path], {
    // What is for this process, such as a debugger's port, is not for that one; Electron runs as Node.
    env: { ...process.env, NODE_OPTIONS: '', ELECTRON_RUN_AS_NODE: '1' },
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    timeout: MOST_MILLISECONDS,
  });
  const advice = "does nvidia-smi work? SPHERENET_CUDA_PROBE=0 asks the driver in the program's own process";
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (code === 'ETIMEDOUT') {
    return unavailable(`the NVIDIA driver did not answer within ${MOST_MILLISECONDS / 1000} s (${advice})`);
  }
  if (error) return unavailable(`no process could be started to ask the NVIDIA driver: ${code} (${advice})`);
  const answer = output[3] ?? '';
  if (status === 0 && answer !== '') return JSON.parse(answer) as NativeCudaStatus;
  const how = signal === null ? `exit code ${status}` : signal;
  const said = stderr.trim().split('\n').at(-1);
  const what = said ? `${how}, ${said}` : how;
  return unavailable(`the NVIDIA driver crashed when it was asked for its GPUs: ${what} (${advice})`);
}

/**
 * What the driver answers. A child process asks first where there is any sign of a driver; a crash, of a driver that
 * does not fit its kernel module for example, is then a reason like others.
 */
export function probeCuda(): NativeCudaStatus {
  const inChild = loaded.build.cuda !== '' && process.env['SPHERENET_CUDA_PROBE'] !== '0' && mayHaveDriver();
  return inChild ? probeInChild(loaded.path) : binding.cudaStatus();
}
