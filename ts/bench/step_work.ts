import { tensor } from '../core/create';
import type { DeviceName } from '../core/device';
import { Generator, random } from '../core/random';
import { keep, noGrad, scope } from '../core/scope';
import type { Tensor } from '../core/tensor';
import type { Classifier } from '../models';
import * as ops from '../ops';
import { SGD } from '../optim';
import type { Formats, Work } from './layer_work';

export interface StepImages {
  readonly device: DeviceName;
  readonly batch: number;
  /** [height, width, channels] */
  readonly shape: readonly [number, number, number];
  readonly classes: number;
  /** Of the activations; float32 by default. */
  readonly dtype?: Formats['dtype'];
}

/** Batches that the steps go through in turn. */
const BATCHES = 4;

/** A training step of a network that belongs to it from now on: forward, loss, backward, SGD with momentum. */
export class StepWork implements Disposable {
  readonly #optimizer: SGD;
  readonly #images: Tensor[];
  readonly #labels: Tensor[];

  constructor(
    private readonly model: Classifier,
    private readonly data: StepImages,
  ) {
    const { device, batch, shape, classes } = data;
    this.#optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9, weightDecay: 5e-4 });
    const draw = new Generator(1);
    const labels = (): Int32Array =>
      Int32Array.from({ length: batch }, () => Math.floor(classes * draw.uniform()));
    const sets = { length: BATCHES };
    this.#images = Array.from(sets, () => keep(random.normal([batch, ...shape], { device })));
    this.#labels = Array.from(sets, () => keep(tensor(labels(), { device })));
  }

  readonly step: Work = (run) => {
    scope(() => {
      this.#loss(run).backward();
      this.#optimizer.step();
    });
  };

  /** The loss on one of the batches, after a step on it. */
  lossAfterStep(run: number): number {
    this.step(run);
    return scope(() => noGrad(() => this.#loss(run).itemSync()));
  }

  /** The forward pass only; what its result keeps alive is what backward() would need. Belongs to the scope. */
  forward(run: number): Tensor {
    return scope(() => this.#loss(run));
  }

  #loss(run: number): Tensor {
    const set = run % BATCHES;
    const [images, labels] = [this.#images[set] as Tensor, this.#labels[set] as Tensor];
    const { dtype = 'float32' } = this.data;
    // As in mixed precision elsewhere: parameters in float32, activations in 16 bits.
    return this.model.loss(dtype === 'float32' ? images : ops.cast(images, dtype), labels);
  }

  [Symbol.dispose](): void {
    this.#optimizer.dispose();
    this.model.dispose();
    for (const each of [...this.#images, ...this.#labels]) each.dispose();
  }
}
