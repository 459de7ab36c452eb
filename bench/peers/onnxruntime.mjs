// onnxruntime-node on single layers: Conv, and SphereConv composed of the operators that ONNX has. Forward only, in
// NCHW, which is what ONNX knows.
import { EPSILON, INNER, normal, OUTER, say, serve, setsFor, sideOf, timeInTurn } from './lines.mjs';

const threads = Number(process.argv[2]);
let ort, onnx;
try {
  ort = (await import('onnxruntime-node')).default;
  onnx = (await import('onnx-proto')).default.onnx;
} catch (error) {
  say({ missing: `onnxruntime-node could not be loaded (${String(error.message).split('\n')[0]})` });
  process.exit(0);
}
say({ ready: `onnxruntime-node ${ort.env.versions?.node ?? ort.env.versions?.common ?? ''}`.trim() });

const FLOAT = onnx.TensorProto.DataType.FLOAT;
const { INT, INTS } = onnx.AttributeProto.AttributeType;

const constant = (name, dims, data) => ({
  ...{ name, dims, dataType: FLOAT },
  rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
});
const scalar = (name, value) => constant(name, [], Float32Array.of(value));
const place = (name, dims) => ({
  name,
  type: { tensorType: { elemType: FLOAT, shape: { dim: dims.map((dimValue) => ({ dimValue })) } } },
});
const node = (opType, input, output, attribute = []) => ({ opType, input, output: [output], attribute });

function convolution(input, weight, output, { kernel, stride }) {
  const pad = (kernel - 1) / 2;
  const ints = (name, values) => ({ name, type: INTS, ints: values });
  return node('Conv', [input, weight], output, [
    ints('kernel_shape', [kernel, kernel]),
    ints('strides', [stride, stride]),
    ints('pads', [pad, pad, pad, pad]),
    { name: 'group', type: INT, i: 1 },
  ]);
}

/** The filters are divided by their norms beforehand, as one would do it for inference. */
function graphOf(layer, angular, weight) {
  const { batch, channels, size, filters, kernel } = layer;
  const each = channels * kernel ** 2;
  const initializer = [];
  const nodes = [];
  if (angular) {
    for (let o = 0; o < filters; ++o) {
      const own = weight.subarray(o * each, (o + 1) * each);
      const norm = Math.sqrt(own.reduce((sum, w) => sum + w * w, EPSILON));
      own.forEach((w, i) => (own[i] = w / norm));
    }
    const ones = new Float32Array(kernel ** 2).fill(1);
    initializer.push(
      constant('ones', [1, 1, kernel, kernel], ones),
      constant('axis', [1], BigInt64Array.of(1n)),
      ...[scalar('epsilon', EPSILON), scalar('inner', INNER), scalar('outer', OUTER)],
    );
    initializer.find(({ name }) => name === 'axis').dataType = onnx.TensorProto.DataType.INT64;
    nodes.push(
      convolution('x', 'w', 'dot', layer),
      node('ReduceSumSquare', ['x', 'axis'], 'energy'),
      convolution('energy', 'ones', 'patch', layer),
      node('Add', ['patch', 'epsilon'], 'safe'),
      node('Sqrt', ['safe'], 'norm'),
      node('Div', ['dot', 'norm'], 'cosine'),
      node('Asin', ['cosine'], 'angle'),
      node('Mul', ['angle', 'inner'], 'scaled'),
      node('Tanh', ['scaled'], 'bent'),
      node('Mul', ['bent', 'outer'], 'y'),
    );
  } else nodes.push(convolution('x', 'w', 'y', layer));
  initializer.push(constant('w', [filters, channels, kernel, kernel], weight));
  const side = sideOf(layer);
  const model = {
    ...{ irVersion: 8, opsetImport: [{ domain: '', version: 18 }] },
    graph: {
      ...{ name: 'layer', node: nodes, initializer },
      input: [place('x', [batch, channels, size, size])],
      output: [place('y', [batch, filters, side, side])],
    },
  };
  return onnx.ModelProto.encode(onnx.ModelProto.create(model)).finish();
}

function sessionOf(layer, contestant, weight) {
  return ort.InferenceSession.create(graphOf(layer, contestant === 'SphereConv', weight), {
    ...{ intraOpNumThreads: threads, interOpNumThreads: 1, graphOptimizationLevel: 'all' },
  });
}

/** [n, from, to] as [n, to, from]. */
function transposed(values, n, from, to) {
  const result = new Float32Array(values.length);
  for (let i = 0; i < n; ++i)
    for (let a = 0; a < from; ++a)
      for (let b = 0; b < to; ++b) result[(i * to + b) * from + a] = values[(i * from + a) * to + b];
  return result;
}

async function check(layer, x, w) {
  const { batch, channels, size, filters, kernel } = layer;
  const input = new ort.Tensor('float32', transposed(x, batch, size ** 2, channels), [batch, channels, size, size]); // prettier-ignore
  for (const contestant of ['conv2d', 'SphereConv']) {
    const session = await sessionOf(layer, contestant, transposed(w, filters, kernel ** 2, channels));
    try {
      const { y } = await session.run({ x: input });
      const values = Array.from(transposed(y.data, batch, filters, sideOf(layer) ** 2));
      say({ contestant, what: 'y', values });
    } finally {
      await session.release();
    }
  }
}

await serve(async ({ layer, check: checked, x, w, plan, pastBytes }) => {
  if (checked) return check(checked, x, w);
  if (!layer) return;
  const { batch, channels, size, filters, kernel } = layer;
  const side = sideOf(layer);
  const numbers = batch * channels * size ** 2;
  const sets = setsFor(numbers + batch * filters * side ** 2, pastBytes);
  const dims = [batch, channels, size, size];
  const xs = Array.from({ length: sets }, () => new ort.Tensor('float32', normal(numbers), dims));
  const ys = Array.from({ length: sets }, () => {
    const values = new Float32Array(batch * filters * side ** 2);
    return new ort.Tensor('float32', values, [batch, filters, side, side]);
  });
  // One after the other: threads of a second session that wait for work take time from the first.
  for (const contestant of ['conv2d', 'SphereConv']) {
    const each = channels * kernel ** 2;
    const session = await sessionOf(layer, contestant, normal(filters * each, Math.sqrt(2 / each)));
    try {
      const call = (run) => session.run({ x: xs[run % sets] }, { y: ys[run % sets] });
      const half = { ...plan, seconds: plan.seconds / 2 };
      const [samples] = await timeInTurn([call], half);
      say({ contestant, what: 'forward', samples });
    } finally {
      await session.release();
    }
  }
});
