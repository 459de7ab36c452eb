// A small SphereNet, trained on random images; deterministic for a seed. Used as a program and from other programs.
const { scope, keep, tensor, random, zeros, ops, losses, optimizers } = require('./library.js');

function createNet(seed) {
  random.seed(seed);
  const normal = (shape, deviation) => keep(random.normal(shape, { deviation, requiresGrad: true }));
  const parameters = {
    conv1: normal([8, 3, 3, 1], 0.3),
    conv2: normal([12, 3, 3, 8], 0.2),
    k: keep(tensor(new Float32Array(12).fill(0.3), { requiresGrad: true })),
    gamma: keep(tensor(new Float32Array(8).fill(1), { requiresGrad: true })),
    beta: keep(tensor(new Float32Array(8), { requiresGrad: true })),
    head: normal([10, 12 * 9], 0.1),
  };
  const mean = keep(zeros([8]));
  const variance = keep(tensor(new Float32Array(8).fill(1)));
  const list = Object.values(parameters);
  const velocities = list.map((parameter) => keep(zeros(parameter.shape)));
  const images = keep(random.normal([16, 12, 12, 1]));
  const labels = keep(tensor(Int32Array.from({ length: 16 }, (_, i) => (i * 7) % 10)));
  let steps = 0;

  /** One step of SGD; answers the loss, a tensor. */
  function step() {
    return scope(() => {
      const { conv1, conv2, k, gamma, beta, head } = parameters;
      let y = ops.sphereConv2d(images, conv1, { operator: 'linear', padding: 1 });
      y = ops.relu(ops.batchNorm(y, gamma, beta, mean, variance));
      y = ops.maxPool2d(y, 2);
      y = ops.sphereConv2d(y, conv2, { operator: 'sigmoid', k, padding: 1 });
      y = ops.flatten(ops.dropout(ops.avgPool2d(y, 2), 0.1));
      const loss = ops.add(
        losses.gaSoftmax(y, head, labels, { margin: 1.5 }),
        ops.scale(losses.orthogonality(conv1), 1e-4),
      );
      loss.backward();
      const gradients = list.map(({ grad }) => grad);
      const settings = {
        lr: 0.02,
        momentum: 0.9,
        dampening: 0,
        weightDecay: 0,
        nesterov: false,
        firstStep: steps++ === 0,
      };
      optimizers.sgdStep(list, gradients, velocities, settings);
      for (const parameter of list) parameter.zeroGrad();
      return loss.detach();
    });
  }

  function dispose() {
    for (const t of [...list, ...velocities, mean, variance, images, labels]) t.dispose();
  }

  return { step, dispose };
}

module.exports = { createNet };
