// A worker thread with one native op under way that takes minutes.
const { parentPort } = require('node:worker_threads');
const { ops, random } = require('./library.js');

const x = random.normal([64, 96, 96, 64]);
const w = random.normal([512, 5, 5, 64]);
x.data().then(() => {
  const y = ops.sphereConv2d(x, w, { operator: 'sigmoid', padding: 2 });
  parentPort.postMessage('under way');
  y.data();
});
