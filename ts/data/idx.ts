import { basename } from 'node:path';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip } from 'node:zlib';
import { failData, readBytes } from './files';

const FORMATS = { gzip: promisify(gunzip), brotli: promisify(brotliDecompress) };

/** Nothing that this package reads is larger; a damaged or hostile stream stops here. */
const MAX_BYTES = 2 ** 31 - 1;

/** What the third byte of an IDX file says of its elements, in words. */
const ELEMENT_TYPES: ReadonlyMap<number, string> = new Map([
  [0x08, 'unsigned bytes'],
  [0x09, 'signed bytes'],
  [0x0b, '16-bit integers'],
  [0x0c, '32-bit integers'],
  [0x0d, '32-bit floats'],
  [0x0e, '64-bit floats'],
]);
const UNSIGNED_BYTES = 0x08;

/** The content of an IDX file of unsigned bytes. */
export interface IdxArray {
  /** Sizes of the dimensions, the slowest first; `[60000, 28, 28]` for images of MNIST. */
  dims: number[];
  /** As many bytes as `dims` say, row-major. */
  values: Uint8Array;
}

/**
 * Reads a file in the IDX format of MNIST (LeCun): two zero bytes, the element type, the number of dimensions, each
 * dimension as a big-endian 32-bit integer, the elements. Gzip is recognised by its first bytes, whatever the name, Brotli,
 * which has no such bytes, by the name's end, `.br`.
 *
 * @param rank how many dimensions are expected
 * @throws SphereNetError (SPHERENET_DATA) naming the file, what was expected and what it holds
 */
export async function readIdx(path: string, rank: number): Promise<IdxArray> {
  const name = basename(path);
  return parseIdx(name, await unpack(name, await readBytes(path)), rank);
}

/**
 * The same for bytes that are in memory and not compressed. `values` is a view of `bytes`.
 *
 * @param name what messages call it
 */
export function parseIdx(name: string, bytes: Uint8Array, rank: number): IdxArray {
  const expected = `an IDX file of unsigned bytes with ${plural(rank, 'dimension')}`;
  const header = 4 + 4 * rank;
  if (bytes.length < 4 || bytes[0] !== 0 || bytes[1] !== 0 || !ELEMENT_TYPES.has(bytes[2] as number)) {
    failData(name, expected, startOf(bytes));
  }
  if (bytes[2] !== UNSIGNED_BYTES || bytes[3] !== rank) {
    const type = ELEMENT_TYPES.get(bytes[2] as number) as string;
    failData(name, expected, `one of ${type} with ${plural(bytes[3] as number, 'dimension')}`);
  }
  if (bytes.length < header) failData(name, `a header of ${header} bytes`, `${bytes.length}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const dims = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  if (dims.includes(0)) failData(name, 'at least 1 element in each dimension', dims.join(' × '));
  const size = dims.reduce((a, b) => a * b, 1);
  if (bytes.length - header !== size) {
    failData(name, `${size} bytes of data (${dims.join(' × ')})`, `${bytes.length - header}`);
  }
  return { dims, values: bytes.subarray(header) };
}

async function unpack(name: string, bytes: Uint8Array): Promise<Uint8Array> {
  const format = bytes[0] === 0x1f && bytes[1] === 0x8b ? 'gzip' : name.endsWith('.br') ? 'brotli' : null;
  if (format === null) return bytes;
  try {
    return await FORMATS[format](bytes, { maxOutputLength: MAX_BYTES });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const got =
      code === 'Z_BUF_ERROR'
        ? `one that ends early, after ${bytes.length} bytes`
        : code === 'ERR_BUFFER_TOO_LARGE'
          ? `one that unpacks to more than ${MAX_BYTES} bytes`
          : `a damaged one (${message})`;
    failData(name, `a complete ${format} file`, got, error);
  }
}

function startOf(bytes: Uint8Array): string {
  if (bytes.length === 0) return 'an empty file';
  const first = [...bytes.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, '0'));
  return `a file that starts with the bytes ${first.join(' ')}`;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
