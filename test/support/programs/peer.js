// A peer of the benchmarks that needs nothing: it answers each request with figures that are told from others'.
const { createInterface } = require('node:readline');

const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
const [how] = process.argv.slice(2);

/** y, NHWC, by the definition; of SphereConv(sigmoid, k = 0.3) where `angular`. */
function outputs({ batch, channels, size, filters, kernel, stride }, x, w, angular) {
  const side = Math.floor((size - 1) / stride) + 1;
  const values = [];
  for (let i = 0; i < batch * side ** 2 * filters; ++i) {
    const [o, column, row] = [i % filters, Math.floor(i / filters) % side, Math.floor(i / filters / side)];
    const sums = { xw: 0, xx: 1e-4, ww: 1e-4 };
    for (let e = 0; e < kernel ** 2 * channels; ++e) {
      const tap = Math.floor(e / channels);
      const h = (row % side) * stride + Math.floor(tap / kernel) - (kernel - 1) / 2;
      const v = column * stride + (tap % kernel) - (kernel - 1) / 2;
      const inside = h >= 0 && h < size && v >= 0 && v < size;
      const at = ((Math.floor(row / side) * size + h) * size + v) * channels + (e % channels);
      const [a, b] = [inside ? x[at] : 0, w[o * kernel ** 2 * channels + e]];
      sums.xw += a * b;
      sums.xx += a * a;
      sums.ww += b * b;
    }
    const g = (c) => Math.tanh(Math.asin(c) / 0.6) / Math.tanh(Math.PI / 1.2);
    values.push(angular ? g(sums.xw / Math.sqrt(sums.xx * sums.ww)) : sums.xw);
  }
  return values;
}

if (how === 'missing') {
  say({ missing: 'no abacus is installed' });
} else {
  process.stdout.write('A library greets.\n');
  say({ ready: 'Abacus 1.0' });
  createInterface({ input: process.stdin }).on('line', (line) => {
    const { layer, step, memory, check, x, w } = JSON.parse(line);
    if (check) {
      for (const contestant of how === 'silent' ? ['conv2d'] : ['conv2d', 'SphereConv']) {
        const values = outputs(check, x, w, contestant === 'SphereConv' && how !== 'wrong');
        say({ contestant, what: 'y', values });
      }
      say({ done: true });
      return;
    }
    if (how === 'dies') process.exit(3);
    if (layer) say({ contestant: 'conv2d', what: 'forward', samples: [3, 1, 2] });
    if (step) say({ contestant: 'plain', what: 'training step', samples: [4] });
    if (memory) say({ contestant: 'plain', what: 'saved for backward', bytes: 5 });
    say({ note: 'beads are slow' });
    say({ done: true });
  });
}
