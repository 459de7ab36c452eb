// Whether a peer computes what this library computes, before any of it is timed.
import { tensor } from '../core/create';
import { scope } from '../core/scope';
import type { Tensor } from '../core/tensor';
import * as ops from '../ops';
import { elements, outputSize, padding } from './layers';
import type { Layer } from './layers';
import type { PeerProcess } from './peer_process';

/** Small enough to be written as JSON; with a stride, so that a transposed axis or a shifted padding shows. */
const LAYER: Layer = {
  network: 'check',
  batch: 2,
  channels: 3,
  size: 6,
  filters: 4,
  kernel: 3,
  stride: 2,
};
/** Of the largest value: both compute in float32, in another order. */
const TOLERANCE = 1e-4;

type Values = ReadonlyMap<string, readonly number[]>;

/** Numbers from -1 to 1, the same in every run. */
function numbers(count: number, phase: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.sin(phase + 12.9898 * i));
}

/** Output and gradients of both contestants here, by `contestant what`. */
function ownValues(x: readonly number[], w: readonly number[], dy: readonly number[]): Values {
  const { batch, channels, size, filters, kernel, stride } = LAYER;
  const side = outputSize(LAYER);
  const options = { stride, padding: padding(LAYER) };
  const contestants: readonly [string, (x: Tensor, w: Tensor) => Tensor][] = [
    ['conv2d', (input, weight) => ops.conv2d(input, weight, null, options)],
    [
      'SphereConv',
      (input, weight) => ops.sphereConv2d(input, weight, { ...options, operator: 'sigmoid', k: 0.3 }),
    ],
  ];
  return scope(() => {
    const values = new Map<string, readonly number[]>();
    for (const [contestant, op] of contestants) {
      const leaf = { device: 'cpu', dtype: 'float32', requiresGrad: true } as const;
      const input = tensor(Float32Array.from(x), { ...leaf, shape: [batch, size, size, channels] });
      const weight = tensor(Float32Array.from(w), { ...leaf, shape: [filters, kernel, kernel, channels] });
      const y = op(input, weight);
      y.backward(tensor(Float32Array.from(dy), { device: 'cpu', shape: [batch, side, side, filters] }));
      const results = [
        ['y', y],
        ['dx', input.grad],
        ['dw', weight.grad],
      ] as const;
      for (const [what, result] of results) {
        values.set(`${contestant} ${what}`, Array.from((result as Tensor).dataSync() as Float32Array));
      }
    }
    return values;
  });
}

/** As a share of the largest value; NaN where one of them is. */
function largestDifference(own: readonly number[], sent: readonly number[]): number {
  if (own.length !== sent.length) return Infinity;
  const largest = Math.max(...own.map(Math.abs));
  return Math.max(...own.map((value, i) => Math.abs(value - (sent[i] as number)))) / largest;
}

/**
 * Lets a peer compute a small layer: outputs NHWC, and where it has them gradients NHWC and OHWI.
 *
 * @returns null where all that it sends is right, else a sentence
 */
export async function whatDiffers(peer: PeerProcess): Promise<string | null> {
  const { x, w, y } = elements(LAYER);
  const [input, weight, gradient] = [numbers(x, 1), numbers(w, 2), numbers(y, 3)];
  const own = ownValues(input, weight, gradient);
  const answers = await peer.ask({ check: LAYER, x: input, w: weight, dy: gradient });
  const sent = new Map<string, readonly number[]>();
  for (const { contestant = '', what = '', values, note } of answers) {
    if (note !== undefined) return `it could not compute a small layer (${note})`;
    if (values) sent.set(`${contestant} ${what}`, values);
  }
  for (const contestant of ['conv2d', 'SphereConv']) {
    if (!sent.has(`${contestant} y`)) return `it did not say what its ${contestant} gives`;
  }
  for (const [name, values] of sent) {
    const difference = largestDifference(own.get(name) ?? [], values);
    if (!(difference <= TOLERANCE)) {
      return `its ${name} is off by ${difference.toPrecision(2)} of the largest value of what is computed here`;
    }
  }
  return null;
}
