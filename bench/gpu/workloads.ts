// What is timed: single layers, a layer with what follows it in a network, and a whole training step.
import { Generator, keep, models, noGrad, ones, ops, optim, random, scope, tensor, zeros } from 'spherenet';
import type { Tensor } from 'spherenet';
import { outputSize, padding } from '../layers';
import type { Layer } from '../layers';
import { Draw } from './draw';
import { rotation } from './measure';
import { SMALL, TARGET } from './target';
import type { Variant } from './target';

/** A call that does the work once, on the inputs that its number chooses. */
export type Work = (run: number) => void;

const BYTES = { float64: 8, float32: 4, bfloat16: 2, float16: 2 } as const;

/** Normally distributed numbers in the format, on the device under test; outside of scopes. */
function filled(shape: readonly number[], { dtype, parameters }: Variant, deviation = 1): Tensor {
  const made = scope(() =>
    noGrad(() => {
      const wide = random.normal(shape, { device: TARGET, dtype: parameters, deviation });
      return dtype === parameters ? wide : ops.cast(wide, dtype);
    }),
  );
  return keep(made);
}

/** A convolution of the layer table, with inputs, gradients and results rotated past the L2. */
export class LayerWork implements Disposable {
  readonly #xs: Tensor[];
  readonly #dys: Tensor[];
  readonly #results: (Tensor | undefined)[];
  readonly #weight: Tensor;
  readonly #norm: ops.NormTensors;
  readonly #sets: number;
  readonly #options;

  constructor(layer: Layer, variant: Variant) {
    const { batch, channels, size, filters, kernel, stride } = layer;
    const side = outputSize(layer);
    const input = [batch, size, size, channels];
    const output = [batch, side, side, filters];
    const bytes = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, BYTES[variant.dtype]);
    const [x, y] = [bytes(input), bytes(output)];
    this.#sets = rotation(Math.min(x, y), x + y);
    this.#options = { stride, padding: padding(layer) };
    const times = { length: this.#sets };
    this.#xs = Array.from(times, () => filled(input, variant));
    this.#dys = Array.from(times, () => filled(output, variant));
    this.#results = Array.from(times, () => undefined);
    this.#weight = filled(
      [filters, kernel, kernel, channels],
      variant,
      Math.sqrt(2 / (kernel ** 2 * channels)),
    );
    const like = { device: TARGET, dtype: variant.parameters };
    this.#norm = {
      ...{ gamma: ones([filters], like), beta: zeros([filters], like) },
      ...{ runningMean: zeros([filters], like), runningVariance: ones([filters], like) },
    };
    for (const parameter of this.#learnt()) parameter.requiresGrad = true;
  }

  readonly conv = (x: Tensor): Tensor => ops.conv2d(x, this.#weight, null, this.#options);

  readonly sphere = (x: Tensor): Tensor =>
    ops.sphereConv2d(x, this.#weight, { ...this.#options, operator: 'sigmoid', k: 0.3 });

  /** With batch norm and ReLU behind it, as a network in training runs it. */
  readonly convBlock = (x: Tensor): Tensor => {
    const { gamma, beta, runningMean, runningVariance } = this.#norm;
    return ops.batchNorm(this.conv(x), gamma, beta, runningMean, runningVariance, { relu: true });
  };

  readonly sphereBlock = (x: Tensor): Tensor =>
    ops.sphereConv2dNorm(x, this.#weight, this.#norm, {
      ...{ ...this.#options, operator: 'sigmoid', k: 0.3, norm: { relu: true } },
    });

  forward(op: (x: Tensor) => Tensor): Work {
    return (run) => {
      const set = run % this.#sets;
      this.#replace(
        set,
        scope(() => noGrad(() => op(this.#xs[set] as Tensor))),
      );
    };
  }

  /** Forward and all gradients; without `data` that of the input is not wanted, as in a first layer. */
  both(op: (x: Tensor) => Tensor, data = true): Work {
    return (run) => {
      const set = run % this.#sets;
      const x = this.#xs[set] as Tensor;
      x.zeroGrad();
      x.requiresGrad = data;
      const y = scope(() => {
        const result = op(x);
        result.backward(this.#dys[set]);
        return result;
      });
      this.#replace(set, y);
      for (const parameter of this.#learnt()) parameter.zeroGrad();
    };
  }

  #learnt(): Tensor[] {
    return [this.#weight, this.#norm.gamma, this.#norm.beta];
  }

  #replace(set: number, result: Tensor | undefined): void {
    this.#results[set]?.dispose();
    this.#results[set] = result;
  }

  [Symbol.dispose](): void {
    const { runningMean, runningVariance } = this.#norm;
    const own = [...this.#learnt(), runningMean, runningVariance];
    const all = [...this.#xs, ...this.#dys, ...this.#results, ...own];
    for (const each of all) each?.dispose();
  }
}

/** A training step of the paper's CNN-9: forward, loss, backward, SGD with momentum. */
export class StepWork implements Disposable {
  readonly #model: models.SphereCnn;
  readonly #optimizer: optim.SGD;
  readonly #images: Tensor[];
  readonly #labels: Tensor[];

  constructor(
    angular: boolean,
    batch: number,
    private readonly variant: Variant,
  ) {
    const small = { widths: [8, 8, 16], features: 16, inputShape: [8, 8, 3] } as const;
    this.#model = models.sphereCnn({
      ...{ depth: 9, operator: angular ? 'sigmoid' : 'none', ...(angular && { k: 0.3 }) },
      ...{ generator: new Generator(1), ...(SMALL && small) },
    });
    this.#optimizer = new optim.SGD(this.#model.parameters(), {
      ...{ lr: 0.01, momentum: 0.9, weightDecay: 5e-4 },
    });
    const draw = new Draw(1);
    const side = SMALL ? 8 : 32;
    const sets = { length: 4 };
    this.#images = Array.from(sets, () => keep(random.normal([batch, side, side, 3], { device: TARGET })));
    this.#labels = Array.from(sets, () =>
      keep(
        tensor(
          Int32Array.from({ length: batch }, () => draw.between(0, 9)),
          { device: TARGET },
        ),
      ),
    );
  }

  readonly step: Work = (run) => {
    const set = run % this.#images.length;
    scope(() => {
      this.#loss(set).backward();
      this.#optimizer.step();
    });
  };

  /** The loss on one of the batches, after a step on it. */
  lossAfterStep(set: number): number {
    this.step(set);
    return scope(() => noGrad(() => this.#loss(set).itemSync()));
  }

  #loss(set: number): Tensor {
    const [images, labels] = [this.#images[set] as Tensor, this.#labels[set] as Tensor];
    const { dtype } = this.variant;
    // As in mixed precision elsewhere: parameters in float32, activations in 16 bits.
    return this.#model.loss(dtype === 'float32' ? images : ops.cast(images, dtype), labels);
  }

  [Symbol.dispose](): void {
    this.#optimizer.dispose();
    this.#model.dispose();
    for (const each of [...this.#images, ...this.#labels]) each.dispose();
  }
}
