// Prints the SIMD path in use and what the kernels compute on it, as JSON: float32 results of shapes with rests.
const { scope, tensor, device, ops } = require('./library.js');

/** Numbers in (−1, 1), the same everywhere. */
function numbers(count, seed) {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

const size = (shape) => shape.reduce((a, b) => a * b, 1);
const leaf = (shape, seed) => tensor(numbers(size(shape), seed), { shape, requiresGrad: true });
const shapes = [
  [[2, 9, 11, 19], [37, 3, 3, 19], { padding: 1 }],
  [[1, 12, 12, 3], [50, 5, 5, 3], { stride: 2, padding: [2, 1, 0, 2] }],
  [[7, 1, 1, 70], [33, 1, 1, 70], {}],
  [[1, 10, 9, 12], [18, 3, 3, 4], { groups: 3, dilation: 2 }],
];
const results = [];
for (const [input, weight, options] of shapes) {
  for (const operator of [null, 'cosine', 'linear', 'sigmoid', 'squaredCosine']) {
    scope(() => {
      const [x, w] = [leaf(input, 1), leaf(weight, 2)];
      const y = operator ? ops.sphereConv2d(x, w, { operator, ...options }) : ops.conv2d(x, w, null, options);
      y.backward(tensor(numbers(y.size, 3), { shape: y.shape }));
      for (const t of [y, x.grad, w.grad]) results.push(Array.from(t.dataSync()));
    });
  }
}
console.log(JSON.stringify({ path: device.cpu.simd(), results }));
