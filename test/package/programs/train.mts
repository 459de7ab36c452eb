// The same program as an ES module, as CommonJS and as TypeScript: it learns to tell two points apart.
import { device, memory, nn, optim, random, scope, tensor } from 'spherenet';

device.use(device.cuda.isAvailable() ? 'cuda' : 'cpu');
random.seed(1);
const layer = new nn.SphereLinear(2, 2, { operator: 'linear' });
const head = new nn.AngularHead(2, 2, { operator: 'linear' });
const optimizer = new optim.SGD([...layer.parameters(), ...head.parameters()], { lr: 0.1 });
const step = (): number =>
  scope(() => {
    const points = tensor(Float32Array.of(1, 0, 0, 1), { shape: [2, 2] });
    const loss = head.loss(layer.forward(points), tensor(Int32Array.of(0, 1)));
    loss.backward();
    optimizer.step();
    return loss.dataSync()[0] as number;
  });
const first = step();
for (let i = 0; i < 20; ++i) step();
const last = step();
console.log(JSON.stringify({ first, last, bytes: memory().bytes }));
