// The compiled library for the programs of this folder; SPHERENET_COMPILED names where it lies.
const { join } = require('node:path');

const from = (path) => require(join(process.env.SPHERENET_COMPILED, path));

from('core/device.js').device.use(process.env.SPHERENET_TEST_DEVICE ?? 'cpu');

module.exports = {
  ...from('core/create.js'),
  ...from('core/scope.js'),
  ...from('core/memory.js'),
  ...from('core/device.js'),
  ...from('core/random.js'),
  ops: from('ops/index.js'),
  losses: from('losses/index.js'),
  optimizers: from('ops/optimizers.js'),
};
