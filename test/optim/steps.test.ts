// Steps against numbers worked by hand from PyTorch's formulas.
import * as optim from '../../ts/optim';
import { inScope } from '../support/in_scope';
import { tensor } from '../support/library';
import type { Tensor } from '../support/library';

const parameter = (value: number): Tensor => tensor([value], { dtype: 'float64', requiresGrad: true });

/** The parameter's value after each step with these gradients. */
async function path(w: Tensor, optimizer: optim.Optimizer, gradients: readonly number[]): Promise<number[]> {
  const values: number[] = [];
  for (const gradient of gradients) {
    w.grad = tensor([gradient], { dtype: 'float64' });
    optimizer.step();
    values.push(await w.item());
  }
  optimizer.dispose();
  return values;
}

describe('SGD', () => {
  const cases: [name: string, options: optim.SGDOptions, expected: number[]][] = [
    ['plain', { lr: 0.1 }, [0.95, 0.9]],
    // g = 0.6, 0.594; v = 0.6, 1.134
    ['momentum and decay', { lr: 0.1, momentum: 0.9, weightDecay: 0.1 }, [0.94, 0.8266]],
    // g = 0.6, 0.5886; v = 0.6, 1.1286; steps 1.14, 1.60434
    ['Nesterov', { lr: 0.1, momentum: 0.9, weightDecay: 0.1, nesterov: true }, [0.886, 0.725566]],
    // v = 0.5, 0.9 · 0.5 + 0.5 · 0.5 = 0.7
    ['dampening', { lr: 0.1, momentum: 0.9, dampening: 0.5 }, [0.95, 0.88]],
  ];
  it.each(cases)('%s', async (_name, options, expected) => {
    await inScope(async () => {
      const w = parameter(1);
      expect(await path(w, new optim.SGD([w], options), [0.5, 0.5])).toBeAllClose(expected, 1e-14);
    })();
  });

  it(
    'without momentum keeps no state',
    inScope(async () => {
      const w = parameter(1);
      const optimizer = new optim.SGD([w]);
      w.grad = tensor([1], { dtype: 'float64' });
      optimizer.step();
      expect((await optimizer.stateDict()).parameters).toEqual([{ steps: 1, slots: {} }]);
    }),
  );
});

describe('Adam and AdamW', () => {
  // Gradients 0.5, -1: m = 0.05, -0.055; v = 0.00025, 0.00124975.
  it(
    'Adam',
    inScope(async () => {
      const w = parameter(1);
      const optimizer = new optim.Adam([w], { lr: 0.1 });
      expect(await path(w, optimizer, [0.5, -1])).toBeAllClose([0.900000002, 0.9366103542405654], 1e-13);
    }),
  );

  it(
    'Adam adds the decay to the gradient',
    inScope(async () => {
      const w = parameter(1);
      const optimizer = new optim.Adam([w], { lr: 0.1, weightDecay: 0.1 });
      expect(await path(w, optimizer, [0.5, -1])).toBeAllClose(
        [0.9000000016666666, 0.9252635194456061],
        1e-13,
      );
    }),
  );

  it(
    'AdamW shrinks the parameter',
    inScope(async () => {
      const w = parameter(1);
      const optimizer = new optim.AdamW([w], { lr: 0.1, weightDecay: 0.1 });
      expect(await path(w, optimizer, [0.5, -1])).toBeAllClose([0.890000002, 0.9177103542205653], 1e-13);
      expect(new optim.AdamW([w]).groups[0]?.weightDecay).toBe(0.01);
    }),
  );

  it(
    'counts steps per parameter, so that one that starts late gets its bias correction',
    inScope(async () => {
      const [early, late] = [parameter(1), parameter(1)];
      const optimizer = new optim.Adam([early, late], { lr: 0.1 });
      early.grad = tensor([0.5], { dtype: 'float64' });
      optimizer.step();
      expect(await late.item()).toBe(1);
      early.grad = tensor([-1], { dtype: 'float64' });
      late.grad = tensor([0.5], { dtype: 'float64' });
      optimizer.step();
      expect([await early.item(), await late.item()]).toBeAllClose([0.9366103542405654, 0.900000002], 1e-13);
      optimizer.dispose();
    }),
  );
});
