// Makes data/fashion-mnist from the full set: the first 1,000 training and the first 250 test images of each class, in
// the order of the original files, compressed with Brotli, which takes a seventh less than gzip. Run it again with the
// same version of Brotli and the same bytes come out; the data is the same with any, and its SHA-256 is printed.
//   node scripts/make-fashion-mnist-subset.mjs [folder of the full set]
// The full set is Debian's package dataset-fashion-mnist, whose folder is the default.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gunzipSync } from 'node:zlib';

const from = process.argv[2] ?? '/usr/share/datasets/fashion-mnist';
const to = fileURLToPath(new URL('../data/fashion-mnist', import.meta.url));
const CLASSES = 10;
const IMAGES_HEADER = 16;
const LABELS_HEADER = 8;

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

function read(name) {
  const packed = readFileSync(join(from, `${name}.gz`));
  console.log(`${sha256(packed)}  ${name}.gz (full)`);
  return gunzipSync(packed);
}

function write(name, bytes) {
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
    [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  };
  const packed = brotliCompressSync(bytes, { params });
  writeFileSync(join(to, `${name}.br`), packed);
  console.log(`${sha256(bytes)}  ${name}, ${packed.length} bytes as .br`);
}

for (const [part, perClass] of [
  ['train', 1000],
  ['t10k', 250],
]) {
  const imagesName = `${part}-images-idx3-ubyte`;
  const labelsName = `${part}-labels-idx1-ubyte`;
  const images = read(imagesName);
  const labels = read(labelsName).subarray(LABELS_HEADER);
  const size = images.readUInt32BE(8) * images.readUInt32BE(12);

  const taken = new Array(CLASSES).fill(0);
  const chosen = [...labels.keys()].filter((i) => taken[labels[i]]++ < perClass);
  const imagesHeader = Buffer.from(images.subarray(0, IMAGES_HEADER));
  imagesHeader.writeUInt32BE(chosen.length, 4);
  const labelsHeader = Buffer.from([0, 0, 8, 1, 0, 0, 0, 0]);
  labelsHeader.writeUInt32BE(chosen.length, 4);
  const start = (i) => IMAGES_HEADER + i * size;
  write(
    imagesName,
    Buffer.concat([imagesHeader, ...chosen.map((i) => images.subarray(start(i), start(i) + size))]),
  );
  write(labelsName, Buffer.concat([labelsHeader, Buffer.from(chosen.map((i) => labels[i]))]));
}
