import * as nn from '../../ts/nn';
import * as optim from '../../ts/optim';
import { Generator, scope, tensor } from '../support/library';
import type { Tensor } from '../support/library';

/** Lengths of the filters. */
function lengths(weight: Tensor): number[] {
  const values = Array.from(weight.dataSync());
  const [filters] = weight.shape as [number];
  const size = values.length / filters;
  return Array.from({ length: filters }, (_, i) =>
    Math.sqrt(values.slice(i * size, (i + 1) * size).reduce((sum, v) => sum + v * v, 0)),
  );
}

describe('projectSpheres', () => {
  it('scales each sphere kernel to length 1, keeps its direction, and leaves the rest', () => {
    const generator = new Generator(3);
    const sphere = new nn.SphereConv2d(3, 5, 3, { operator: 'sigmoid', k: 'learnable', generator });
    const model = new nn.Sequential(sphere, new nn.BatchNorm2d(5), new nn.Conv2d(5, 4, 1, { generator }));
    const head = new nn.AngularHead(4, 2, { generator });
    const parameters = [...model.parameters(), ...head.parameters()];
    const before = parameters.map((parameter) => parameter.dataSync());
    optim.projectSpheres(parameters);
    parameters.forEach((parameter, i) => {
      const old = before[i] as Float32Array;
      if (nn.roleOf(parameter) !== 'sphereKernel') return expect(parameter.dataSync()).toEqual(old);
      expect(lengths(parameter)).toBeAllClose(new Float64Array(parameter.shape[0] as number).fill(1), 1e-6);
      const size = parameter.size / (parameter.shape[0] as number);
      const first = Math.sqrt(old.slice(0, size).reduce((sum, v) => sum + v * v, 0));
      const expected = old.slice(0, size).map((v) => v / first);
      return expect(parameter.dataSync().slice(0, size)).toBeAllClose(expected, 1e-6);
    });
    expect(parameters.filter((parameter) => nn.roleOf(parameter) === 'sphereKernel')).toHaveLength(2);
    for (const module of [model, head]) module.dispose();
  });

  it('keeps the leaf a leaf: gradients arrive at it, and a filter of zeros stays', () => {
    scope(() => {
      const weight = nn.parameter(tensor([3, 4, 0, 0, -1e-6, 0], { shape: [3, 2] }), 'sphereKernel');
      optim.projectSpheres([weight]);
      expect(weight.dataSync()).toBeAllClose([0.6, 0.8, 0, 0, -1, 0], 1e-6);
      expect([weight.requiresGrad, weight.node]).toEqual([true, null]);
      weight.dispose();
    });
  });

  it('says what it cannot take', () => {
    const wrong = [1] as unknown as Tensor[];
    expect(() => {
      optim.projectSpheres(wrong);
    }).toThrow('projectSpheres: parameters must be tensors, got 1');
  });
});
