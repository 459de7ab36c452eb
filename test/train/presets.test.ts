import * as nn from '../../ts/nn';
import * as optim from '../../ts/optim';
import { sphereCnn } from '../../ts/models';
import { presets, Trainer } from '../../ts/train';
import { losses, scope } from '../support/library';
import { Stripes, stripesModel } from './patterns';

/** The learning rates of a schedule at some steps. */
function ratesAt(preset: ReturnType<typeof presets.paper>, steps: readonly number[]): number[] {
  const layer = new nn.Linear(2, 2);
  const optimizer = preset.optimizer(layer.parameters());
  const schedule = preset.schedule(optimizer);
  const rates = steps.map((step) => {
    schedule.steps = step;
    return optimizer.lr;
  });
  layer.dispose();
  return rates;
}

describe('presets', () => {
  it('of CIFAR divide Adam’s rate of 1e-3 by ten after 34,000 and 54,000 of 64,000 steps', () => {
    for (const make of [presets.paper, presets.authors]) {
      const preset = make();
      expect([preset.steps, preset.batchSize]).toEqual([64_000, 128]);
      const rates = ratesAt(preset, [0, 33_999, 34_000, 53_999, 54_000, 63_999]);
      expect(rates).toBeAllClose([1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5], 1e-12);
    }
  });

  it('of ImageNet divide the rate 0.1 of SGD with momentum by ten after 200,000 and 375,000 of 550,000 steps', () => {
    const preset = presets.imageNet();
    expect(preset.steps).toBe(550_000);
    const rates = ratesAt(preset, [0, 199_999, 200_000, 374_999, 375_000]);
    expect(rates).toBeAllClose([0.1, 0.1, 0.01, 0.01, 0.001], 1e-12);
    const layer = new nn.Linear(2, 2);
    const optimizer = preset.optimizer(layer.parameters());
    expect(optimizer).toBeInstanceOf(optim.SGD);
    expect(optimizer.groups[0]).toMatchObject({ momentum: 0.9, weightDecay: 5e-4, decaySpheres: false });
    layer.dispose();
  });

  it('keep their shape at a fraction of the steps', () => {
    const tenth = presets.authors({ scale: 0.1 });
    expect([tenth.steps, tenth.milestones]).toEqual([6400, [3400, 5400]]);
    const tiny = presets.authors({ scale: 1e-5 });
    expect([tiny.steps, tiny.milestones]).toEqual([1, [1, 2]]);
    expect(() => presets.paper({ scale: 0 })).toThrow('presets.paper: scale must be a number above 0, got 0');
  });

  it('change images as CIFAR-10 or CIFAR-10+ was', () => {
    expect(presets.paper().augment).toEqual({ padding: 0, flip: true });
    expect(presets.paper({ augmentation: 'full' }).augment).toEqual({ padding: 4, flip: true });
    const wrong = { augmentation: 'crop' as 'full' };
    expect(() => presets.paper(wrong)).toThrow("presets.paper: augmentation must be one of 'flip', 'full'");
  });

  it('set the batch norms of a model', () => {
    const model = presets.authors().prepare(stripesModel('softmax'));
    const norms = model.modules().filter((module) => module instanceof nn.BatchNorm2d);
    expect(norms).toHaveLength(2);
    for (const norm of norms) {
      expect(norm.momentum).toBeCloseTo(1e-3, 12);
      expect(norm.epsilon).toBe(1e-3);
    }
    model.dispose();
  });

  it('regularise sphere kernels by 1e-4 of their orthogonality, and nothing else', () => {
    const preset = presets.authors();
    const model = stripesModel('angular');
    const plain = sphereCnn({ operator: 'none', depth: 3, widths: [2, 2, 2], features: 2 });
    scope(() => {
      const sum = nn
        .sphereKernels(model)
        .map((weight) => losses.orthogonality(weight).itemSync())
        .reduce((a, b) => a + b);
      expect((preset.regularizer(model)?.itemSync() ?? NaN) / sum).toBeCloseTo(1e-4, 9);
      expect(preset.regularizer(plain)).toBeNull();
    });
    for (const each of [model, plain]) each.dispose();
  });

  it('train a network', async () => {
    const preset = presets.authors({ scale: 0.001 });
    const model = preset.prepare(stripesModel('softmax'));
    const optimizer = preset.optimizer(model.parameters());
    const history = await new Trainer({
      model,
      optimizer,
      schedule: preset.schedule(optimizer),
      train: new Stripes(240, 16),
      steps: preset.steps,
      regularizer: preset.regularizer,
      progress: false,
    }).run();
    expect(history.steps).toHaveLength(64);
    expect(history.steps.at(-1)?.loss).toBeLessThan(history.steps[0]?.loss as number);
    expect(history.steps.every(({ regularization = 0 }) => regularization > 0)).toBe(true);
    expect(optimizer.lr).toBeCloseTo(1e-5, 12);
    model.dispose();
    optimizer.dispose();
  });
});
