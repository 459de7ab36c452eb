/** Layers that run as one op give what they give one by one. */
import * as nn from '../../ts/nn';
import { scope, tensor } from '../support/library';
import type { Tensor } from '../support/library';
import { Numbers } from '../support/numbers';

const plain = (): nn.Module[] => [
  new nn.SphereConv2d(3, 8, 3, { padding: 1, operator: 'sigmoid', k: 'learnable' }),
  new nn.SphereLinear(6 * 4 * 4, 5),
];
const decoupled = (): nn.Module[] => [
  new nn.SphereConv2d(3, 8, 3, { padding: 1, operator: { magnitude: 'tanh', radius: 'learnable' } }),
  new nn.SphereLinear(6 * 4 * 4, 5, { operator: { magnitude: 'segmented', angular: 'squaredCosine' } }),
];

describe.each([
  ['angular', plain],
  ['decoupled', decoupled],
] as const)('Sequential with %s operators', (_, spheres) => {
  it('gives what its layers give one by one, in training and in inference', async () => {
    await scope(async () => {
      const make = (): nn.Sequential => {
        const [conv, linear] = spheres() as [nn.Module, nn.Module];
        return new nn.Sequential(
          new nn.SphereConv2d(3, 4, 3, { padding: 1 }),
          new nn.ReLU(),
          new nn.SphereConv2d(4, 4, 3, { padding: 1, operator: 'linear' }),
          new nn.SphereNorm(4, { beta: 2, gamma: 0.1 }),
          new nn.ReLU(),
          new nn.SphereNorm(new nn.SphereConv2d(4, 3, 3, { padding: 1 }), { beta: 3 }),
          new nn.ReLU(),
          new nn.SphereNorm(3, { gamma: -0.1 }),
          conv,
          new nn.BatchNorm2d(8),
          new nn.ReLU(),
          new nn.Conv2d(8, 6, 3),
          new nn.BatchNorm2d(6),
          new nn.ReLU(),
          new nn.Flatten(),
          linear,
          new nn.BatchNorm2d(5),
        );
      };
      const numbers = new Numbers(9);
      const net = make();
      const twin = make();
      twin.loadStateDict(await net.stateDict());
      const x = tensor(numbers.normals(4 * 6 * 6 * 3), { shape: [4, 6, 6, 3], dtype: 'float32' });
      const dy = tensor(numbers.normals(20), { shape: [4, 5], dtype: 'float32' });
      for (const training of [true, false]) {
        net.train(training);
        twin.train(training);
        const together = net.forward(x);
        const oneByOne = [...twin].reduce((value, layer) => layer.forward(value), x);
        expect(together).toBeAllClose(oneByOne, 1e-5);
        together.backward(dy);
        oneByOne.backward(dy);
        const gradients = twin.namedParameters();
        for (const [name, parameter] of net.namedParameters()) {
          expect(parameter.grad as Tensor).toBeAllClose(gradients.get(name)?.grad as Tensor, 1e-4);
        }
        net.zeroGrad();
        twin.zeroGrad();
      }
      const buffers = twin.namedBuffers();
      for (const [name, buffer] of net.namedBuffers()) {
        expect(buffer).toBeAllClose(buffers.get(name) as Tensor, 1e-5);
      }
      net.dispose();
      twin.dispose();
    });
  });
});
