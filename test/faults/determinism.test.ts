import { device, losses, ops, random, scope, tensor } from '../support/library';
import type { Tensor } from '../support/library';
import { Numbers, product } from '../support/numbers';

const original = device.cpu.threads;

afterEach(() => {
  device.cpu.threads = original;
});

const drawn = new Map<string, Float64Array>();

function leaf(seed: number, ...shape: number[]): Tensor {
  const key = `${seed}: ${product(shape)}`;
  const values = drawn.get(key) ?? new Numbers(seed).normals(product(shape));
  drawn.set(key, values);
  return tensor(values, { shape, dtype: 'float32', requiresGrad: true });
}

const stats = (channels: number): [Tensor, Tensor] => [
  leaf(20, channels).detach(),
  ops.abs(leaf(21, channels)).detach(),
];

/** One call of every op, large enough to be split among threads. */
const CALLS: Record<string, (...leaves: Tensor[]) => Tensor> = {
  conv2d: (x, w, b) => ops.conv2d(x, w, b, { padding: 1 }),
  'sphereConv2d cosine': (x, w) => ops.sphereConv2d(x, w, { padding: 1 }),
  'sphereConv2d linear, strided': (x, w) => ops.sphereConv2d(x, w, { operator: 'linear', stride: 2 }),
  'sphereConv2d sigmoid': (x, w, _, k) =>
    ops.sphereConv2d(x, w, {
      operator: 'sigmoid',
      k: ops.add(ops.abs(k), 0.1),
    }),
  batchNorm: (x) => ops.batchNorm(x, leaf(5, 24), leaf(6, 24), ...stats(24)),
  'batchNorm in inference': (x) =>
    ops.batchNorm(x, leaf(5, 24), leaf(6, 24), ...stats(24), { training: false }),
  maxPool2d: (x) => ops.maxPool2d(x, 3, { stride: 2, padding: 1 }),
  avgPool2d: (x) => ops.avgPool2d(x, 2),
  sum: (x) => ops.sum(x, { axes: [1, 3] }),
  'sum of all': (x) => ops.sum(x),
  mean: (x) => ops.mean(x, { axes: [0, 1, 2] }),
  'add, broadcast': (x, _, __, k) => ops.add(x, ops.sum(ops.reshape(k, [1, 40]))),
  mul: (x) => ops.mul(x, ops.square(x)),
  relu: (x) => ops.relu(x),
  dropout: (x) => ops.dropout(x, 0.3, { seed: 9 }),
  softmaxCrossEntropy: (x) =>
    ops.softmaxCrossEntropy(ops.reshape(x, [-1, 96]), tensor(new Numbers(7).labels(1944, 96)), {
      labelSmoothing: 0.1,
    }),
  gaSoftmax: (x, w) =>
    losses.gaSoftmax(
      ops.reshape(x, [-1, 216]),
      ops.reshape(w, [40, 216]),
      tensor(new Numbers(8).labels(864, 40)),
      { margin: 3 },
    ),
  orthogonality: (_, w) => losses.orthogonality(w),
  hypersphericalEnergy: (_, w) => losses.hypersphericalEnergy(w, { angular: true, halfSpace: true }),
  sphereFace2: (x, w, k) =>
    losses.sphereFace2(
      ops.reshape(x, [-1, 216]),
      ops.reshape(w, [40, 216]),
      tensor(new Numbers(8).labels(864, 40)),
      ops.reshape(ops.mean(k), [1]),
    ),
  'exp, softplus and power': (x) => ops.power(ops.softplus(ops.exp(x)), 1.5),
  concat: (x) => ops.concat([x, ops.slice(x, [0, 0, 0, 0], [6, 36, 36, 11])], 3),
  pad: (x) =>
    ops.pad(x, [
      [0, 0],
      [1, 2],
      [3, 0],
      [0, 1],
    ]),
  'random numbers': () => {
    random.seed(4);
    return ops.add(random.normal([100_000]), random.uniform([100_000]));
  },
};

/** The output and all gradients, as bytes. */
function outcome(call: (...leaves: Tensor[]) => Tensor, threads: number): Buffer[] {
  device.cpu.threads = threads;
  return scope(() => {
    const leaves = [leaf(1, 6, 36, 36, 24), leaf(2, 40, 3, 3, 24), leaf(3, 40), leaf(4, 40)];
    const y = call(...leaves);
    if (y.requiresGrad) y.backward(leaf(10, ...y.shape).detach());
    return [y, ...leaves.map(({ grad }) => grad)].map((t) =>
      Buffer.from((t?.dataSync() ?? new Float32Array()).buffer as ArrayBuffer),
    );
  });
}

describe('the same bits come out', () => {
  it.each(Object.entries(CALLS))('of %s and its gradients, on 1, 2 and 3 threads and again', (_, call) => {
    const alone = outcome(call, 1);
    for (const threads of [2, 3, 1, 2]) {
      outcome(call, threads).forEach((bytes, i) => expect(bytes.equals(alone[i] as Buffer)).toBe(true));
    }
  });
});
