// Ends, one way or another, while native work and reads are under way.
const { ops, random, scope } = require('./library.js');

const how = process.argv[2];
const x = random.normal([8, 64, 64, 64]);
const w = random.normal([256, 3, 3, 64]);
const work = () => scope(() => ops.mean(ops.conv2d(x, w, null, { padding: 1 })));
const reading = work().data();
for (let i = 0; i < 100; ++i) work();
reading.then(() => console.log('read'));
if (how === 'throw') throw new Error('on purpose');
if (how === 'exit') process.exit(7);
