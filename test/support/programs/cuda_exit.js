// Ends while ops, copies and reads are under way on the current device.
const { ops, zeros } = require('./library.js');

const x = zeros([1_000_000]);
let y = ops.add(x, 1);
for (let i = 0; i < 50; ++i) y = ops.add(y, x);
const reading = y.data();
for (let i = 0; i < 50; ++i) y = ops.add(y, x);
reading.then(() => console.log('read'));
if (process.argv[2] === 'exit') process.exit(7);
