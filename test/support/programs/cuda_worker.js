// A worker thread that keeps its device busy with ops and copies both ways until it is terminated.
const { parentPort } = require('node:worker_threads');
const { ops, tensor } = require('./library.js');

async function main() {
  const values = new Float32Array(100_000).fill(1);
  for (let i = 0; ; ++i) {
    const x = tensor(values);
    const y = ops.add(x, i);
    for (let j = 0; j < 20; ++j) ops.add(y, x).dispose();
    const read = y.data();
    x.dispose();
    y.dispose();
    if ((await read)[99_999] !== 1 + i) throw new Error('a wrong number');
    if (i === 3) parentPort.postMessage('under way');
  }
}

main();
