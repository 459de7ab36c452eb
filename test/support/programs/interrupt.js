// Long native work, to be ended by SIGINT. How JavaScript waits for it, and whether it handles the signal, is given.
const { ops, random } = require('./library.js');

const [waiting, handling] = process.argv.slice(2);
if (handling === 'handler') process.on('SIGINT', () => process.exit(42));

// Some minutes of work in many ops, or in one: more than a test is given.
const x = random.normal(waiting === 'one-op' ? [256, 96, 96, 64] : [8, 64, 64, 64]);
const w = random.normal([512, 15, 15, 64]);
const results = [];
const count = waiting === 'one-op' ? 1 : 300;
for (let i = 0; i < count; ++i)
  results.push(
    ops.mean(
      ops.sphereConv2d(x, w, { operator: 'sigmoid', padding: 7, stride: waiting === 'one-op' ? 1 : 2 }),
    ),
  );
console.log('ready');
if (waiting === 'blocking') results.at(-1).dataSync();
else
  results
    .at(-1)
    .data()
    .then(() => process.exit(3));
