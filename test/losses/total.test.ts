import { losses, ops, scope, tensor } from '../support/library';

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
