import { run } from '../../ts/core/run';
import { sgdStep } from '../../ts/ops/optimizers';
import { memory, scope, Tensor, tensor, zeros } from '../support/library';

describe('native calls', () => {
  it('take as many tensors as there are', () => {
    scope(() => {
      // Three lists of these are more numbers than the frame has room for at first.
      const parameters = Array.from({ length: 700 }, (_, i) => tensor([i, -i]));
      const gradients = parameters.map((_, i) => tensor([1, 2 * i]));
      const settings = { lr: 0.5, momentum: 0, dampening: 0, weightDecay: 0, nesterov: false };
      sgdStep(
        parameters,
        gradients,
        parameters.map(() => null),
        { ...settings, firstStep: true },
      );
      parameters.forEach((each, i) => {
        expect(Array.from(each.dataSync())).toEqual([i - 0.5, -i - i]);
      });
    });
  });

  it('refuse arguments that are not those of the op', () => {
    using y = zeros([2]);
    const half = { strideH: 1, strideW: 1, padTop: 0, padBottom: 0, padLeft: 0, padRight: 0 };
    expect(() => run('fill', 1)).toThrow('fill: wrong number of arguments');
    expect(() => run('fill', 1, y, y)).toThrow('fill: wrong number of arguments');
    expect(() => run('fill', 1, null)).toThrow('an op needs a tensor argument');
    expect(() => run('conv2d', half, y, y, null, y)).toThrow(
      'conv2d: an argument is of a kind that no op takes',
    );
    expect(() => run('binary', NaN, y, y, y)).toThrow('binary: an argument is out of range');
    expect(() => run('binary', 2 ** 31, y, y, y)).toThrow('binary: an argument is out of range');
  });

  it('do not take a freed tensor for the one that has its place now', () => {
    const gone = zeros([2]);
    const { handle } = gone;
    gone.dispose();
    using successor = tensor([3, 4]);
    const before = memory();
    using stale = new Tensor(handle, false);
    expect(() => stale.dataSync()).toThrow('a tensor was used after it was freed');
    expect(() => run('fill', 1, stale)).toThrow('fill: a tensor was used after it was freed');
    handle.release();
    expect(memory()).toEqual(before);
    expect(Array.from(successor.dataSync())).toEqual([3, 4]);
  });
});
