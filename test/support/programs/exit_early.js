// Ends, one way or another, while native work and reads are under way.
const { ops, random } = require('./library.js');

const x = random.normal([8, 64, 64, 64]);
const w = random.normal([256, 3, 3, 64]);
const y = ops.mean(ops.conv2d(x, w, null, { padding: 1 }));
for (let i = 0; i < 50; ++i) ops.conv2d(x, w, null, { padding: 1 });
if (process.argv[2] === 'reading') y.data().then(() => console.log('read'));
if (process.argv[2] === 'throw') throw new Error('on purpose');
if (process.argv[2] !== 'reading') process.exit(7);
