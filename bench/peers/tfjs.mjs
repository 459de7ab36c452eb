// TensorFlow.js with its WebAssembly backend on single layers: conv2d, and SphereConv composed of its operators. Forward
// only: the backend has no gradient of filters. In Node it runs on one thread, so the others' ratios flatter them by that.
import { EPSILON, INNER, OUTER, say, serve, setsFor, sideOf, timeInTurn } from './lines.mjs';

let tf;
try {
  tf = await import('@tensorflow/tfjs-core');
  await import('@tensorflow/tfjs-backend-wasm');
  await tf.setBackend('wasm');
  await tf.ready();
} catch (error) {
  say({
    missing: `@tensorflow/tfjs-backend-wasm could not be loaded (${String(error.message).split('\n')[0]})`,
  });
  process.exit(0);
}
say({ ready: `TensorFlow.js ${tf.version_core} (WebAssembly, one thread)` });

/** Both contestants on filters [kernel, kernel, channels, filters]. */
function contestants({ kernel, stride }, weight, ones) {
  const pad = (kernel - 1) / 2;
  const padding = [
    [0, 0],
    [pad, pad],
    [pad, pad],
    [0, 0],
  ];
  const conv = (x, w) => tf.conv2d(x, w, stride, padding, 'NHWC', 1, 'floor');
  const sphere = (x) => {
    const wide = tf.sqrt(tf.add(tf.sum(tf.square(weight), [0, 1, 2]), EPSILON));
    const energy = tf.sum(tf.square(x), 3, true);
    const norm = tf.sqrt(tf.add(conv(energy, ones), EPSILON));
    const cosine = tf.div(conv(x, tf.div(weight, wide)), norm);
    return tf.mul(tf.tanh(tf.mul(tf.asin(cosine), INNER)), OUTER);
  };
  return [
    ['conv2d', (x) => conv(x, weight)],
    ['SphereConv', sphere],
  ];
}

function check(layer, x, w) {
  const { batch, channels, size, filters, kernel } = layer;
  tf.tidy(() => {
    const ohwi = tf.tensor(w, [filters, kernel, kernel, channels]);
    const kinds = contestants(layer, tf.transpose(ohwi, [1, 2, 3, 0]), tf.ones([kernel, kernel, 1, 1]));
    const input = tf.tensor(x, [batch, size, size, channels]);
    for (const [contestant, op] of kinds)
      say({ contestant, what: 'y', values: Array.from(op(input).dataSync()) });
  });
}

await serve(async ({ layer, check: checked, x, w, plan, pastBytes }) => {
  if (checked) return check(checked, x, w);
  if (!layer) return;
  const { batch, channels, size, filters, kernel } = layer;
  const numbers = batch * (channels * size ** 2 + filters * sideOf(layer) ** 2);
  const sets = setsFor(numbers, pastBytes);
  const xs = Array.from({ length: sets }, () => tf.randomNormal([batch, size, size, channels]));
  const deviation = Math.sqrt(2 / (kernel ** 2 * channels));
  const weight = tf.randomNormal([kernel, kernel, channels, filters], 0, deviation);
  const ones = tf.ones([kernel, kernel, 1, 1]);
  const timed = (op) => (run) => {
    const y = tf.tidy(() => op(xs[run % sets]));
    y.dispose();
  };
  try {
    const kinds = contestants(layer, weight, ones);
    const samples = await timeInTurn(
      kinds.map(([, op]) => timed(op)),
      plan,
    );
    kinds.forEach(([contestant], i) => say({ contestant, what: 'forward', samples: samples[i] }));
  } finally {
    for (const tensor of [...xs, weight, ones]) tensor.dispose();
  }
});
