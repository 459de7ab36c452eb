import { Classifier } from '../../ts/models';
import * as nn from '../../ts/nn';

describe('sphereKernels', () => {
  it('are the kernels of hidden angular layers, not those of heads nor ordinary ones', () => {
    const [conv, linear] = [
      new nn.SphereConv2d(1, 4, 3, { operator: 'sigmoid', k: 'learnable' }),
      new nn.SphereLinear(4, 6),
    ];
    const body = new nn.Sequential(conv, new nn.BatchNorm2d(4), new nn.Conv2d(4, 4, 1), linear);
    for (const head of [new nn.AngularHead(6, 2), new nn.SphereFace2Head(6, 2), new nn.SoftmaxHead(6, 2)]) {
      const model = new Classifier(body, head);
      expect(nn.sphereKernels(model)).toEqual([conv.weight, linear.weight]);
      expect(nn.sphereKernels(head)).toEqual([]);
      head.dispose();
    }
    body.dispose();
  });
});
