import * as nn from '../../ts/nn';
import * as optim from '../../ts/optim';
import { evaluate, Trainer, TrainingDiverged } from '../../ts/train';
import type { EpochRecord, Progress, TrainerOptions, TrainingHistory } from '../../ts/train';
import { isGradEnabled, memory, ops } from '../support/library';
import { Stripes, stripesModel } from './patterns';

const quiet = { progress: false } as const;

/** The parts of a history that do not depend on the clock. */
function numbersOf({ steps, epochs }: TrainingHistory): unknown {
  return [
    steps,
    epochs.map(({ trainLoss, trainAccuracy, evalLoss }) => [trainLoss, trainAccuracy, evalLoss]),
  ];
}

async function trainStripes(seed: number): Promise<{ history: TrainingHistory; state: nn.StateDict }> {
  const model = stripesModel('angular', seed);
  const optimizer = new optim.SGD(model.parameters(), { lr: 0.1, momentum: 0.9, weightDecay: 1e-3 });
  const trainer = new Trainer({ ...quiet, model, optimizer, train: new Stripes(60, 16, seed), epochs: 2 });
  const history = await trainer.run();
  const state = await model.stateDict();
  model.dispose();
  optimizer.dispose();
  return { history, state };
}

describe('Trainer', () => {
  it.each(['softmax', 'angular', 'sphereFace2'] as const)('learns stripes with a %s head', async (head) => {
    const model = stripesModel(head);
    const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 });
    const schedule = new optim.Schedule(optimizer, optim.warmup(5, optim.cosine({ total: 60 })));
    const seen: Progress[] = [];
    const epochs: EpochRecord[] = [];
    const history = await new Trainer({
      ...quiet,
      model,
      optimizer,
      schedule,
      train: new Stripes(240, 16),
      evaluate: new Stripes(100, 30, 2),
      epochs: 4,
      onProgress: (progress) => seen.push(progress),
      onEpoch: (record) => epochs.push(record),
    }).run();

    expect(history.stopped).toBeUndefined();
    expect(history.steps.map(({ step }) => step)).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
    expect(schedule.steps).toBe(60);
    expect(history.epochs).toEqual(epochs);
    expect(history.epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4]);
    const last = history.epochs.at(-1) as EpochRecord;
    expect(last.evalAccuracy).toBeGreaterThan(0.95);
    expect(last.trainAccuracy).toBeGreaterThan(0.95);
    const inLast = history.steps.slice(45).map(({ accuracy }) => accuracy);
    expect(last.trainAccuracy).toBeCloseTo(inLast.reduce((a, b) => a + b) / 15, 9);
    expect(last.trainLoss).toBeLessThan((history.epochs[0] as EpochRecord).trainLoss);
    expect(last.imagesPerSecond).toBeGreaterThan(0);
    expect(seen).toHaveLength(60);
    expect(seen.at(-1)).toMatchObject({ step: 60, steps: 60, epoch: 4, epochs: 4, secondsLeft: 0 });
    expect(seen.at(-1)?.loss).toBe(last.trainLoss);
    expect(model.modules().every(({ training }) => training)).toBe(true);
    model.dispose();
    optimizer.dispose();
  });

  it('reports the loss and the margin-free accuracy of each step', async () => {
    const model = stripesModel('angular');
    const optimizer = new optim.SGD(model.parameters(), { lr: 0 });
    const source = new Stripes(20, 20);
    model.modules().forEach((module) => {
      if (module instanceof nn.Dropout) module.eval();
    });
    const [first] = (await new Trainer({ ...quiet, model, optimizer, train: source, steps: 1 }).run()).steps;
    expect(first?.step).toBe(1);
    expect(first?.loss).toBeGreaterThan(0);
    expect((first?.accuracy ?? NaN) * 20).toBeCloseTo(Math.round((first?.accuracy ?? NaN) * 20), 9);
    model.dispose();
  });

  it('trains in training mode and restores the modes, each layer its own', async () => {
    const model = stripesModel('softmax').eval();
    model.features.train();
    const modes = model.modules().map(({ training }) => training);
    expect(new Set(modes)).toEqual(new Set([true, false]));
    const norm = model.modules().filter((module) => module instanceof nn.BatchNorm2d)[0] as nn.BatchNorm2d;
    norm.eval();
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.01 });
    await new Trainer({ ...quiet, model, optimizer, train: new Stripes(16, 16), epochs: 1 }).run();
    expect((await norm.runningMean.data()).some((value) => value !== 0)).toBe(true);
    expect(norm.training).toBe(false);
    expect(model.training).toBe(false);
    expect(model.features.training).toBe(true);
    model.dispose();
  });

  it('ends after a number of steps, in the middle of an epoch', async () => {
    const model = stripesModel('softmax');
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.01 });
    const source = new Stripes(64, 16);
    const history = await new Trainer({ ...quiet, model, optimizer, train: source, steps: 6 }).run();
    expect(history.steps).toHaveLength(6);
    expect(history.epochs).toHaveLength(2);
    expect(source.served).toBe(6);
    model.dispose();
  });

  it('augments training images only', async () => {
    const model = stripesModel('softmax');
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.01 });
    let augmented = 0;
    await new Trainer({
      ...quiet,
      model,
      optimizer,
      train: new Stripes(32, 16),
      evaluate: new Stripes(32, 16),
      epochs: 1,
      augment: (images) => {
        ++augmented;
        return ops.scale(images, -1);
      },
    }).run();
    expect(augmented).toBe(2);
    model.dispose();
  });

  it('stops on a loss that is not finite, names the step and the loss before it', async () => {
    const model = stripesModel('softmax');
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.01 });
    const source = new Stripes(80, 16);
    (source.images[40] as Float32Array)[3] = NaN; // in the third batch
    const options: TrainerOptions = { ...quiet, model, optimizer, train: source, epochs: 3 };
    const error: unknown = await new Trainer(options).run().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TrainingDiverged);
    const { step, loss, lastFiniteLoss, history, message, code } = error as TrainingDiverged;
    expect([step, loss, code]).toEqual([3, NaN, 'SPHERENET_DIVERGED']);
    expect(history.steps).toHaveLength(2);
    expect(lastFiniteLoss).toBe(history.steps[1]?.loss);
    expect(message).toContain('the loss became NaN at step 3');
    expect(source.served).toBeLessThanOrEqual(4);
    model.dispose();
    optimizer.dispose();
  });

  it('ends on a loss that is not finite where it is asked not to throw', async () => {
    const model = stripesModel('softmax');
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.01 });
    const source = new Stripes(32, 16);
    (source.images[0] as Float32Array)[0] = NaN;
    const history = await new Trainer({
      ...quiet,
      model,
      optimizer,
      train: source,
      epochs: 2,
      whenDiverged: 'stop',
    }).run();
    expect(history).toEqual({ steps: [], epochs: [], stopped: 'nan' });
    model.dispose();
  });

  it('ends when its signal is aborted and returns what it has', async () => {
    const model = stripesModel('softmax');
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.01 });
    const source = new Stripes(160, 16);
    const controller = new AbortController();
    const history = await new Trainer({
      ...quiet,
      model,
      optimizer,
      train: source,
      evaluate: new Stripes(16, 16),
      epochs: 5,
      signal: controller.signal,
      onProgress: ({ step }) => {
        if (step === 3) controller.abort();
      },
    }).run();
    expect(history.stopped).toBe('aborted');
    expect(history.steps.length).toBeGreaterThanOrEqual(3);
    expect(history.steps.length).toBeLessThanOrEqual(5);
    expect(history.epochs).toMatchObject([{ epoch: 1, evalLoss: null, evalAccuracy: null }]);
    const again = new Trainer({
      ...quiet,
      model,
      optimizer,
      train: source,
      epochs: 1,
      signal: controller.signal,
    });
    expect(await again.run()).toEqual({ steps: [], epochs: [], stopped: 'aborted' });
    model.dispose();
  });

  it('leaves memory as it was, step after step', async () => {
    const model = stripesModel('angular');
    const optimizer = new optim.Adam(model.parameters());
    const held: number[] = [];
    await new Trainer({
      ...quiet,
      model,
      optimizer,
      train: new Stripes(160, 16),
      epochs: 4,
      onProgress: () => held.push(memory().tensors),
    }).run();
    // The last result of an epoch comes when no other step is under way.
    const within = held.filter((_, i) => i % 10 !== 9).slice(2);
    expect(new Set(within).size).toBe(1);
    model.dispose();
    optimizer.dispose();
  });

  it('frees everything where a batch does not fit the model', async () => {
    const model = stripesModel('softmax');
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.01 });
    const source = new Stripes(48, 16);
    source.labels[40] = 2;
    const run = new Trainer({ ...quiet, model, optimizer, train: source, epochs: 1 }).run();
    await expect(run).rejects.toThrow('labels must be from 0 to 1');
    model.dispose();
  });

  it('two trainings at once go as each alone', async () => {
    const alone = [await trainStripes(1), await trainStripes(2)];
    const together = await Promise.all([trainStripes(1), trainStripes(2)]);
    expect(together.map(({ state }) => state)).toEqual(alone.map(({ state }) => state));
    expect(together.map(({ history }) => numbersOf(history))).toEqual(
      alone.map(({ history }) => numbersOf(history)),
    );
    expect(alone[0]?.state).not.toEqual(alone[1]?.state);
  });

  it('says what is wrong with its options', async () => {
    const model = stripesModel('softmax');
    const optimizer = new optim.SGD(model.parameters());
    const train = new Stripes(16, 16);
    const make = (options: object): (() => Trainer) => {
      return () => new Trainer({ ...quiet, model, optimizer, train, epochs: 1, ...options });
    };
    expect(make({ model: model.features })).toThrow(
      'Trainer: model must be a module with embed() and a head',
    );
    expect(make({ optimizer: {} })).toThrow('Trainer: optimizer must be an optimiser, such as optim.Adam');
    expect(make({ train: 5 })).toThrow(
      'Trainer: train must be an iterable of { images, labels } with a length, got 5',
    );
    expect(make({ evaluate: {} })).toThrow('Trainer: evaluate must be an iterable');
    expect(make({ regularizer: 1 })).toThrow('Trainer: regularizer must be a function of the model, got 1');
    expect(make({ projectEvery: 0 })).toThrow('Trainer: projectEvery must be a whole number of at least 1');
    await expect(make({ regularizer: () => 3 })().run()).rejects.toThrow(
      'Trainer: regularizer must be a function that returns a scalar or null, got 3',
    );
    expect(make({ epochs: undefined })).toThrow(
      'Trainer: epochs must be given or steps, one of the two, got neither',
    );
    expect(make({ steps: 3 })).toThrow('Trainer: epochs must be given or steps, one of the two, got both');
    expect(make({ epochs: 0 })).toThrow('Trainer: epochs must be a whole number of at least 1, got 0');
    await expect(make({ train: [] })().run()).rejects.toThrow(
      'Trainer: train must yield at least one batch, got none',
    );
    model.dispose();
  });
});

describe('evaluate', () => {
  it('gives loss, accuracy, confusion and predictions in the order of the source', async () => {
    const model = stripesModel('softmax', 3);
    const source = new Stripes(50, 16, 3);
    const { loss, accuracy, confusion, predictions } = await evaluate(model, source);
    expect(predictions).toHaveLength(50);
    const counts = [
      [0, 0],
      [0, 0],
    ] as [[number, number], [number, number]];
    predictions.forEach((prediction, i) => {
      counts[source.labels[i] as 0 | 1][prediction as 0 | 1] += 1;
    });
    expect(confusion).toEqual(counts);
    expect(accuracy).toBeCloseTo((counts[0][0] + counts[1][1]) / 50, 12);
    // One batch of all images has the same mean: batch norm goes by its running statistics.
    const whole = await evaluate(model, new Stripes(50, 50, 3));
    expect(whole.loss).toBeCloseTo(loss, 5);
    expect(whole.predictions).toEqual(predictions);
    model.dispose();
  });

  it('restores the modes, each layer its own, and records nothing', async () => {
    const model = stripesModel('angular');
    model.train();
    const frozen = model.modules().find((module) => module instanceof nn.BatchNorm2d) as nn.Module;
    frozen.eval();
    const before = await model.stateDict();
    const embed = model.embed.bind(model);
    const recorded: boolean[] = [];
    model.embed = (images) => {
      recorded.push(isGradEnabled());
      return embed(images);
    };
    const failing = new Stripes(32, 16);
    failing.labels[20] = 7;
    await evaluate(model, new Stripes(32, 16));
    await expect(evaluate(model, failing)).rejects.toThrow('labels must be from 0 to 1');
    expect(frozen.training).toBe(false);
    expect(model.modules().filter(({ training }) => !training)).toEqual([frozen]);
    expect(await model.stateDict()).toEqual(before);
    expect(recorded).toEqual([false, false, false, false]);
    model.dispose();
  });

  it('rejects where it is aborted or has nothing to do', async () => {
    const model = stripesModel('softmax');
    await expect(evaluate(model, [])).rejects.toThrow(
      'evaluate: source must yield at least one batch, got none',
    );
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(evaluate(model, new Stripes(32, 16), { signal })).rejects.toThrow('enough');
    model.dispose();
  });
});
