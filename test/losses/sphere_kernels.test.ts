import * as nn from '../../ts/nn';
import { Classifier } from '../../ts/models';
import { losses, ops, scope, tensor } from '../support/library';

describe('sphereKernels', () => {
  it('are the kernels of hidden angular layers, not those of heads nor ordinary ones', () => {
    const [conv, linear] = [
      new nn.SphereConv2d(1, 4, 3, { operator: 'sigmoid', k: 'learnable' }),
      new nn.SphereLinear(4, 6),
    ];
    const body = new nn.Sequential(conv, new nn.BatchNorm2d(4), new nn.Conv2d(4, 4, 1), linear);
    for (const head of [new nn.AngularHead(6, 2), new nn.SphereFace2Head(6, 2), new nn.SoftmaxHead(6, 2)]) {
      const model = new Classifier(body, head);
      expect(losses.sphereKernels(model)).toEqual([conv.weight, linear.weight]);
      expect(losses.sphereKernels(head)).toEqual([]);
      head.dispose();
    }
    body.dispose();
  });
});

describe('total', () => {
  it('adds scalars up and scales them, with their gradients', () => {
    scope(() => {
      const [a, b] = [tensor(2, { requiresGrad: true }), tensor(3, { requiresGrad: true })];
      const sum = losses.total([ops.square(a), b, b], 0.5);
      expect(sum?.itemSync()).toBe(5);
      sum?.backward();
      expect([a.grad?.itemSync(), b.grad?.itemSync()]).toEqual([2, 1]);
    });
  });

  it('of nothing is null', () => {
    expect(losses.total([])).toBeNull();
  });
});
