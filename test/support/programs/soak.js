// 2,000 training steps; prints memory() and the resident size on the way, as JSON.
const { createNet } = require('./train_steps.js');
const { memory } = require('./library.js');

async function main() {
  const net = createNet(1);
  const samples = [];
  for (let step = 1; step <= 2000; ++step) {
    const loss = net.step();
    const value = await loss.item();
    loss.dispose();
    if (step === 10 || step % 200 === 0) {
      global.gc();
      const { tensors, bytes, cachedBytes } = memory();
      samples.push({ step, value, tensors, bytes, cachedBytes, resident: process.memoryUsage().rss });
    }
  }
  net.dispose();
  console.log(JSON.stringify({ samples, left: memory().tensors }));
}

main();
