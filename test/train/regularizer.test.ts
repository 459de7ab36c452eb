/** What the Trainer does beside the loss: a regulariser, and projection. */
import * as nn from '../../ts/nn';
import * as optim from '../../ts/optim';
import { Trainer } from '../../ts/train';
import type { TrainerOptions, TrainingHistory } from '../../ts/train';
import { losses, ops, scope, tensor } from '../support/library';
import type { Tensor } from '../support/library';
import { Stripes, stripesModel } from './patterns';

const quiet = { progress: false } as const;

describe('Trainer', () => {
  it('trains by loss and regulariser, and reports them apart', async () => {
    const orthogonal = async (weight: number | null): Promise<TrainingHistory> => {
      const model = stripesModel('softmax');
      const optimizer = new optim.SGD(model.parameters(), { lr: 0.05 });
      const regularizer: TrainerOptions['regularizer'] = (trained) => {
        if (weight === null) return null;
        return losses.total(
          nn.sphereKernels(trained).map((kernel) => losses.orthogonality(kernel)),
          weight,
        );
      };
      const run = { ...quiet, model, optimizer, train: new Stripes(80, 16), epochs: 4, regularizer };
      const history = await new Trainer(run).run();
      model.dispose();
      return history;
    };
    const [without, none, with01] = [await orthogonal(null), await orthogonal(0), await orthogonal(0.1)];
    expect(without.steps.every((step) => !('regularization' in step))).toBe(true);
    expect(none.steps.map(({ loss }) => loss)).toEqual(without.steps.map(({ loss }) => loss));
    expect(none.steps.map(({ regularization }) => regularization)).toEqual(none.steps.map(() => 0));
    const values = with01.steps.map(({ regularization }) => regularization as number);
    expect(values.at(-1)).toBeLessThan(0.5 * (values[0] as number));
    expect(with01.steps[0]?.loss).toBe(without.steps[0]?.loss);
    expect(with01.steps.at(-1)?.loss).not.toBe(without.steps.at(-1)?.loss);
  });

  it('learns with filters that repel each other on the sphere', async () => {
    const model = stripesModel('sphereFace2');
    const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 });
    const history = await new Trainer({
      ...quiet,
      model,
      optimizer,
      train: new Stripes(240, 16),
      epochs: 4,
      regularizer: (trained) => {
        const kernels = nn.sphereKernels(trained);
        const energies = kernels.map((kernel) => losses.hypersphericalEnergy(kernel, { halfSpace: true }));
        return losses.total(energies, 20);
      },
      projectEvery: 10,
    }).run();
    expect(history.epochs.at(-1)?.trainAccuracy).toBeGreaterThan(0.95);
    const energies = history.steps.map(({ regularization }) => regularization as number);
    expect(energies.at(-1)).toBeLessThan((energies[0] as number) - 0.2);
    model.dispose();
    optimizer.dispose();
  });

  it('stops on a regulariser that is not finite', async () => {
    const model = stripesModel('softmax');
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.01 });
    const regularizer = (): Tensor => ops.log(tensor(-1));
    const trainer = new Trainer({
      ...quiet,
      model,
      optimizer,
      train: new Stripes(16, 16),
      epochs: 1,
      regularizer,
    });
    await expect(trainer.run()).rejects.toThrow('the loss became NaN at step 1');
    model.dispose();
  });

  it('puts sphere kernels back onto the sphere after every so many steps', async () => {
    const model = stripesModel('angular');
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.5 });
    const kernels = model.parameters().filter((kernel) => nn.roleOf(kernel) === 'sphereKernel');
    const error = (): number => {
      return Math.max(
        ...kernels.map((kernel) => {
          const squares = ops.sum(ops.square(ops.reshape(kernel, [kernel.shape[0] as number, -1])), {
            axes: 1,
          });
          return Math.max(...Array.from(squares.dataSync(), (square) => Math.abs(square - 1)));
        }),
      );
    };
    const run = async (steps: number): Promise<void> => {
      const train = new Stripes(96, 16);
      await new Trainer({ ...quiet, model, optimizer, train, steps, projectEvery: 3 }).run();
    };
    await run(2);
    expect(scope(error)).toBeGreaterThan(0.1);
    await run(3);
    expect(scope(error)).toBeLessThan(1e-6);
    await run(6);
    expect(scope(error)).toBeLessThan(1e-6);
    model.dispose();
  });
});
