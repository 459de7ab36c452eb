// The source list of the native addon, native/sources.txt.
//   node scripts/sources.mjs           prints what a build without CUDA compiles (for binding.gyp)
//   node scripts/sources.mjs --check   fails unless the list and the files in native/ and cuda/ agree
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const isSource = (file) => /\.(cc|cu)$/.test(file);

export const listedSources = () =>
  readFileSync(join(root, 'native/sources.txt'), 'utf8')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));

/** Files under `folder` (relative to the repository) that `accept` likes, in a stable order. */
export function filesUnder(folder, accept) {
  return readdirSync(join(root, folder), { recursive: true })
    .map((file) => `${folder}/${file.replaceAll('\\', '/')}`)
    .filter(accept)
    .sort();
}

function check() {
  const listed = listedSources();
  const present = [...filesUnder('native', isSource), ...filesUnder('cuda', isSource)];
  const faults = [
    ...present.filter((file) => !listed.includes(file)).map((file) => `${file} is not listed`),
    ...listed.filter((file) => !present.includes(file)).map((file) => `${file} is listed but does not exist`),
    ...listed.filter((file, at) => listed.indexOf(file) !== at).map((file) => `${file} is listed twice`),
  ];
  for (const fault of faults) console.error(`native/sources.txt: ${fault}`);
  process.exitCode = faults.length > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv[2] === '--check') check();
  else
    console.log(
      listedSources()
        .filter((file) => !file.startsWith('cuda/'))
        .join('\n'),
    );
}
