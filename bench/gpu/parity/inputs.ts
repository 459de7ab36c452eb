import { tensor } from 'spherenet';
import type { DeviceName, Tensor } from 'spherenet';
import { Draw, rounded } from '../draw';
import type { Storage, Variant } from '../target';

/** Where a case runs, and in which formats. */
export interface Place {
  readonly device: DeviceName;
  readonly activations: Storage;
  readonly parameters: 'float32' | 'float64';
}

interface Choice {
  /** Standard deviation; 1 by default. */
  deviation?: number;
  /** Whether its gradient is wanted; true by default. */
  grad?: boolean;
  /** Numbers in place of random ones. */
  values?: (draw: Draw, index: number) => number;
}

/**
 * Tensors of random numbers for one case: the same numbers wherever it runs, namely such that the variant under test
 * can hold them.
 */
export class Inputs {
  readonly #draw: Draw;

  constructor(
    seed: number,
    private readonly variant: Variant,
    readonly place: Place,
  ) {
    this.#draw = new Draw(seed);
  }

  /** What has a batch axis. */
  activation(shape: readonly number[], choice: Choice = {}): Tensor {
    return this.#make(shape, this.place.activations, this.variant.dtype, choice);
  }

  /** Filters: in the parameters' format, with numbers that 16-bit activations' format holds too. */
  filter(shape: readonly number[], choice: Choice = {}): Tensor {
    return this.#make(shape, this.place.parameters, this.variant.dtype, choice);
  }

  /** Filters in the activations' own format. */
  storedFilter(shape: readonly number[], choice: Choice = {}): Tensor {
    return this.#make(shape, this.place.activations, this.variant.dtype, choice);
  }

  /** All other parameters. */
  parameter(shape: readonly number[], choice: Choice = {}): Tensor {
    return this.#make(shape, this.place.parameters, this.variant.parameters, choice);
  }

  labels(count: number, classes: number): Tensor {
    const values = Int32Array.from({ length: count }, () => this.#draw.between(0, classes - 1));
    return tensor(values, { device: this.place.device });
  }

  bytes(shape: readonly number[]): Tensor {
    const length = shape.reduce((size, extent) => size * extent, 1);
    const values = Uint8Array.from({ length }, () => this.#draw.between(0, 255));
    return tensor(values, { shape, device: this.place.device });
  }

  /** A whole number below 2^32, for ops that take a seed. */
  seed(): number {
    return this.#draw.seed();
  }

  /** Runs backward from y with a random gradient; the outputs of the case are y and the leaves' gradients. */
  backward(y: Tensor, leaves: Readonly<Record<string, Tensor | null>>): Record<string, Tensor> {
    const scalar = y.rank === 0;
    const dy = scalar
      ? undefined
      : this.#make(y.shape, y.dtype as Storage, this.variant.dtype, { grad: false });
    y.backward(dy);
    const outputs: Record<string, Tensor> = { y };
    for (const [name, leaf] of Object.entries(leaves)) {
      if (leaf?.grad) outputs[`d${name}`] = leaf.grad;
    }
    return outputs;
  }

  #make(shape: readonly number[], storage: Storage, format: Storage, choice: Choice): Tensor {
    const { deviation = 1, grad = true, values } = choice;
    const { device } = this.place;
    const length = shape.reduce((size, extent) => size * extent, 1);
    const draw = this.#draw;
    const host = Float64Array.from({ length }, (_, i) =>
      rounded(values ? values(draw, i) : deviation * draw.normal(), format),
    );
    return tensor(host, { shape, device, dtype: storage, requiresGrad: grad });
  }
}
