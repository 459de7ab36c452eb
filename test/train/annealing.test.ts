import * as nn from '../../ts/nn';
import * as optim from '../../ts/optim';
import { Generator, ops, scope, tensor } from '../support/library';
import type { Tensor } from '../support/library';
import { Numbers } from '../support/numbers';

const CLASSES = 30;
const INPUTS = 16;

/** Points around one centre per class. */
class Clusters {
  private readonly numbers = new Numbers(99);
  private readonly centres = this.numbers.normals(CLASSES * INPUTS);

  batch(count: number): { points: Tensor; labels: Tensor; targets: Int32Array } {
    const targets = this.numbers.labels(count, CLASSES);
    const points = this.numbers.normals(count * INPUTS, 0.7).map((noise, i) => {
      const label = targets[Math.floor(i / INPUTS)] as number;
      return noise + (this.centres[label * INPUTS + (i % INPUTS)] as number);
    });
    const shape = [count, INPUTS];
    return { points: tensor(points, { shape, dtype: 'float32' }), labels: tensor(targets), targets };
  }
}

/** Accuracy, and the features' mean length, of a small network after 200 steps with A-Softmax of margin 4. */
function train(annealing: nn.Annealing | undefined): { accuracy: number; length: number } {
  const generator = new Generator(1);
  const clusters = new Clusters();
  const net = new nn.Sequential(
    new nn.Linear(INPUTS, 32, { generator }),
    new nn.ReLU(),
    new nn.Linear(32, 8, { generator }),
  );
  const head = new nn.AngularHead(8, CLASSES, { margin: 4, annealing, generator });
  const optimizer = new optim.SGD([...net.parameters(), ...head.parameters()], { lr: 0.1, momentum: 0.9 });
  for (let step = 0; step < 200; ++step) {
    scope(() => {
      const { points, labels } = clusters.batch(32);
      head.loss(net.forward(points), labels).backward();
      optimizer.step();
    });
  }
  const result = scope(() => {
    const { points, targets } = clusters.batch(300);
    const features = net.forward(points);
    const logits = head.logits(features).dataSync();
    const right = targets.filter((label, i) => {
      const row = logits.subarray(i * CLASSES, (i + 1) * CLASSES);
      return row.every((value, j) => j === label || value < (row[label] as number));
    });
    const lengths = ops.sqrt(ops.sum(ops.square(features), { axes: 1 }));
    return { accuracy: right.length / targets.length, length: ops.mean(lengths).itemSync() };
  });
  optimizer.dispose();
  net.dispose();
  head.dispose();
  return result;
}

it('A-Softmax of margin 4 trains from scratch with annealing, and without it shrinks the features instead', () => {
  const annealed = train({});
  expect(annealed.accuracy).toBeGreaterThan(0.8);
  const abrupt = train(undefined);
  expect(abrupt.accuracy).toBeLessThan(0.5);
  expect(abrupt.length).toBeLessThan(0.2 * annealed.length);
});
