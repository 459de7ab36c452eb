// A worker thread that trains and posts its losses; with `forever` it goes on until it is terminated.
const { parentPort, workerData } = require('node:worker_threads');
const { createNet } = require('./train_steps.js');
const { memory } = require('./library.js');

async function main() {
  const net = createNet(workerData.seed);
  const values = [];
  for (let i = 0; workerData.forever || i < workerData.steps; ++i) {
    const loss = net.step();
    values.push(await loss.item());
    loss.dispose();
    if (i === 2) parentPort.postMessage('under way');
  }
  net.dispose();
  parentPort.postMessage({ values, tensors: memory().tensors });
}

main();
