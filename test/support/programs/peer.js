// A peer of the benchmarks that needs nothing: it answers each request with figures that are told from others'.
const { createInterface } = require('node:readline');

const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
const [how] = process.argv.slice(2);

if (how === 'missing') {
  say({ missing: 'no abacus is installed' });
} else {
  process.stdout.write('A library greets.\n');
  say({ ready: 'Abacus 1.0' });
  createInterface({ input: process.stdin }).on('line', (line) => {
    const { layer, step, memory } = JSON.parse(line);
    if (how === 'dies') process.exit(3);
    if (layer) say({ contestant: 'conv2d', what: 'forward', samples: [3, 1, 2] });
    if (step) say({ contestant: 'plain', what: 'training step', samples: [4] });
    if (memory) say({ contestant: 'plain', what: 'saved for backward', bytes: 5 });
    say({ note: 'beads are slow' });
    say({ done: true });
  });
}
