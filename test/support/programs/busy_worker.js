// A worker thread with one native op under way that takes minutes, more than a test is given.
const { parentPort } = require('node:worker_threads');
const { ops, random } = require('./library.js');

const x = random.normal([64, 96, 96, 64]);
const w = random.normal([512, 25, 25, 64]);
x.data().then(() => {
  const y = ops.sphereConv2d(x, w, { operator: 'sigmoid', padding: 12 });
  parentPort.postMessage('under way');
  y.data();
});
