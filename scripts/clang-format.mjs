// Formats the C++ and CUDA sources with clang-format and .clang-format; --check only reports what is not formatted.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { filesUnder } from './sources.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const check = process.argv.includes('--check');
const files = ['native', 'cuda', 'test', 'bench'].flatMap((folder) =>
  filesUnder(folder, (file) => /\.(cc|h|cu|cuh)$/.test(file)),
);

const args = check ? ['--dry-run', '--Werror'] : ['-i'];
const result = spawnSync('clang-format', [...args, ...files], { cwd: root, stdio: 'inherit' });
if (result.error) {
  console.error(
    `clang-format could not be run (${result.error.message}). Debian, Ubuntu: sudo apt-get install clang-format`,
  );
}
process.exitCode = result.status ?? 1;
