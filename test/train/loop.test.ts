import * as nn from '../../ts/nn';
import * as optim from '../../ts/optim';
import { memory, scope } from '../support/library';
import { Stripes } from './patterns';

it('a training loop of one’s own needs a scope, backward and step, and nothing else', async () => {
  const net = new nn.Sequential(
    new nn.SphereConv2d(1, 8, 3, { padding: 1, operator: 'sigmoid', k: 0.3 }),
    new nn.BatchNorm2d(8),
    new nn.ReLU(),
    new nn.MaxPool2d(2),
    new nn.Flatten(),
    new nn.SphereLinear(128, 16, { operator: 'sigmoid', k: 'learnable' }),
    new nn.BatchNorm2d(16),
  );
  const head = new nn.AngularHead(16, 2, { operator: 'linear', margin: 4 });
  const opt = new optim.Adam([...net.parameters(), ...head.parameters()], { lr: 1e-2 });
  const losses: number[] = [];
  const held: number[] = [];
  for (let epoch = 0; epoch < 3; ++epoch) {
    for await (const batch of new Stripes(160, 16)) {
      const loss = scope(() => {
        const l = head.loss(net.forward(batch.images), batch.labels);
        l.backward();
        opt.step();
        return l;
      });
      losses.push(await loss.item());
      loss.dispose();
      held.push(memory().tensors);
    }
  }
  expect(losses.at(-1)).toBeLessThan(0.5 * (losses[0] as number));
  expect(new Set(held).size).toBe(1);
  for (const item of [net, head, opt]) item.dispose();
});
