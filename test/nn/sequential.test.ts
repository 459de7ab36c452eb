import * as nn from '../../ts/nn';
import { inScope } from '../support/in_scope';
import { device, keep, memory, noGrad, ops, random, scope, zeros } from '../support/library';
import type { Tensor } from '../support/library';

/** A layer that is a function. */
class Apply extends nn.Module {
  constructor(private readonly fn: (x: Tensor) => Tensor) {
    super();
  }
  forward(x: Tensor): Tensor {
    return this.fn(x);
  }
}

const MEGABYTE_OF_FLOATS = 1 << 18;
const doubled = (): Apply => new Apply((x) => ops.add(x, x));

describe('Sequential frees what its layers hand on', () => {
  it(
    'holds one tensor at a time without recording',
    inScope(() => {
      const x = zeros([MEGABYTE_OF_FLOATS]);
      const seen: number[] = [];
      const count = (): Apply =>
        new Apply((input) => {
          seen.push(memory().tensors);
          return input;
        });
      const net = new nn.Sequential(doubled(), count(), doubled(), count(), doubled(), count());
      const before = memory().tensors;
      noGrad(() => net.forward(x));
      expect(seen).toEqual([before + 1, before + 1, before + 1]);
      expect(memory().tensors).toBe(before + 1);
    }),
  );

  it(
    'lets backward() free activations while the scope around it is open',
    inScope(() => {
      const x = zeros([MEGABYTE_OF_FLOATS]);
      x.requiresGrad = true;
      const squared = (): Apply => new Apply((input) => ops.square(input));
      const before = memory().bytes;
      const y = new nn.Sequential(squared(), squared(), squared(), squared()).forward(x);
      const loss = ops.sum(y);
      expect(memory().bytes - before).toBeGreaterThanOrEqual(4 * 4 * MEGABYTE_OF_FLOATS);
      loss.backward();
      // y and the gradient of x.
      expect(memory().bytes - before).toBe(2 * 4 * MEGABYTE_OF_FLOATS + 4);
    }),
  );

  it(
    'leaves alone its input, what is kept, what is of the scope around it, and what a layer hands through',
    inScope(() => {
      const [x, constant] = [zeros([4]), zeros([4])];
      let kept: Tensor | undefined;
      const net = new nn.Sequential(
        new Apply((input) => input),
        doubled(),
        new Apply((input) => (kept = keep(ops.add(input, input)))),
        new Apply(() => constant),
        doubled(),
      );
      const y = net.forward(x);
      expect([x, constant, y].map((tensor) => tensor.isDisposed)).toEqual([false, false, false]);
      expect(kept?.isDisposed).toBe(false);
      kept?.dispose();
      expect(new nn.Sequential().forward(x)).toBe(x);
    }),
  );

  it(
    'says so to a layer that held on to an output without keeping it',
    inScope(() => {
      let held: Tensor | undefined;
      const net = new nn.Sequential(new Apply((input) => (held = ops.add(input, input))), doubled());
      net.forward(zeros([4]));
      expect(() => held?.dataSync()).toThrow(/was used after it was disposed/);
    }),
  );

  it('gives the same values and gradients as its layers one by one', () => {
    const layers = [new nn.Conv2d(3, 4, 3), new nn.ReLU(), new nn.Flatten(), new nn.Linear(4 * 16, 2)];
    const gradients = (forward: (x: Tensor) => Tensor): number[][] =>
      scope(() => {
        const x = random.normal([2, 6, 6, 3]);
        ops.sum(ops.square(forward(x))).backward();
        return layers.flatMap((layer) =>
          layer.parameters().map((parameter) => {
            const values = Array.from(parameter.grad?.dataSync() ?? []);
            parameter.zeroGrad();
            return values;
          }),
        );
      });
    random.seed(1);
    const together = gradients((x) => new nn.Sequential(...layers).forward(x));
    random.seed(1);
    const apart = gradients((x) => layers.reduce((input, layer) => layer.forward(input), x));
    expect(together).toEqual(apart);
    for (const layer of layers) layer.dispose();
    device.synchronize();
  });
});
