// Runs the fixtures in float32 and float64 and prints the SIMD path and the largest relative error of each, as JSON.
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { scope, tensor, device, ops, losses } = require('./library.js');

function apply({ op, parameters }, { input, weight, labels, k, radius }) {
  if (op === 'sphereConv2d') {
    const operator = radius ? { ...parameters.operator, radius } : parameters.operator;
    return ops.sphereConv2d(input, weight, { ...parameters, operator, ...(k && { k }) });
  }
  if (op === 'sphereLinear') return ops.sphereLinear(input, weight, parameters);
  if (op === 'gaSoftmax') return losses.gaSoftmax(input, weight, labels, parameters);
  return losses.orthogonality(weight);
}

function relativeError(actual, expected) {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  // Written so that NaN counts as an error without bound.
  return expected.reduce((worst, value, i) => {
    const error = Math.abs(actual[i] - value) / largest;
    return error <= worst ? worst : error >= 0 ? error : Infinity;
  }, 0);
}

const worst = {};
let cases = 0;
for (const file of ['sphere.json', 'sphere_shapes.json', 'decoupled.json']) {
  for (const fixture of JSON.parse(readFileSync(join(__dirname, '..', '..', 'fixtures', file), 'utf8'))
    .cases) {
    ++cases;
    for (const dtype of ['float32', 'float64']) {
      scope(() => {
        const inputs = {};
        for (const [name, { shape, data }] of Object.entries(fixture.inputs)) {
          const isLabels = name === 'labels';
          inputs[name] = tensor(
            isLabels ? Int32Array.from(data) : data,
            isLabels ? {} : { shape, dtype, requiresGrad: true },
          );
        }
        const y = apply(fixture, inputs);
        y.backward(tensor(fixture.outputGradient.data, { shape: y.shape, dtype }));
        const pairs = Object.entries(fixture.gradients).map(([name, { data }]) => [inputs[name].grad, data]);
        for (const [t, expected] of [[y, fixture.output.data], ...pairs]) {
          worst[dtype] = Math.max(worst[dtype] ?? 0, relativeError(t.dataSync(), expected));
        }
      });
    }
  }
}
console.log(JSON.stringify({ path: device.cpu.simd(), cases, worst }));
