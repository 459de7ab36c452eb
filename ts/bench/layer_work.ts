import { keep, noGrad, scope } from '../core/scope';
import { ones, zeros } from '../core/create';
import type { DeviceName } from '../core/device';
import type { FloatDType, HalfDType } from '../core/dtype';
import { random } from '../core/random';
import { run as submit } from '../core/run';
import { allocateLike } from '../core/tensor';
import type { Tensor } from '../core/tensor';
import * as ops from '../ops';
import { angularForward } from '../ops/angular_forward';
import { elements, outputSize, padding } from './layers';
import type { Layer, Pass } from './layers';
import { rotationSets } from './timing';
import type { Contestant, Rotation } from './timing';

/** Where a layer is computed, and in what its numbers are stored. */
export interface Formats {
  readonly device: DeviceName;
  /** Of activations. */
  readonly dtype: FloatDType | HalfDType;
  /** Of everything else: what 16-bit activations go with is float32. */
  readonly parameters: FloatDType;
}

/** A call that does the work once, on the inputs that its number chooses. */
export type Work = (run: number) => void;

export type LayerOp = (x: Tensor) => Tensor;

const SIGMOID = { operator: 'sigmoid', k: 0.3 } as const;

export const BYTES = { float64: 8, float32: 4, bfloat16: 2, float16: 2 } as const;

/** In how many sets the tensors of a layer are rotated. */
export function layerSets(layer: Layer, dtype: Formats['dtype'], rotation: Rotation): number {
  const { x, y } = elements(layer);
  const touched = BYTES[dtype] * (x + y);
  // Input and its gradient, gradient of the output and result.
  return rotationSets(touched, 2 * touched, rotation);
}

/**
 * A convolution of the layer table, plain or SphereConv(sigmoid, k = 0.3), with normally distributed inputs and
 * gradients of which there are several sets.
 */
export class LayerWork implements Disposable {
  readonly #xs: Tensor[];
  readonly #dys: Tensor[];
  readonly #results: (Tensor | undefined)[];
  readonly #weight: Tensor;
  readonly #norm: ops.NormTensors;
  readonly #options;

  constructor(
    layer: Layer,
    formats: Formats,
    private readonly sets: number,
  ) {
    const { batch, channels, size, filters, kernel, stride } = layer;
    const side = outputSize(layer);
    this.#options = { stride, padding: padding(layer) };
    const times = { length: sets };
    this.#xs = Array.from(times, () => filled([batch, size, size, channels], formats));
    this.#dys = Array.from(times, () => filled([batch, side, side, filters], formats));
    this.#results = Array.from(times, () => undefined);
    const deviation = Math.sqrt(2 / (kernel ** 2 * channels));
    this.#weight = filled([filters, kernel, kernel, channels], formats, deviation);
    const like = { device: formats.device, dtype: formats.parameters };
    this.#norm = {
      ...{ gamma: ones([filters], like), beta: zeros([filters], like) },
      ...{ runningMean: zeros([filters], like), runningVariance: ones([filters], like) },
    };
    for (const parameter of this.#learnt()) parameter.requiresGrad = true;
  }

  readonly conv: LayerOp = (x) => ops.conv2d(x, this.#weight, null, this.#options);

  readonly sphere: LayerOp = (x) => ops.sphereConv2d(x, this.#weight, { ...this.#options, ...SIGMOID });

  /** With SphereNorm and ReLU in the same pass. */
  readonly sphereRescaled: LayerOp = (x) => {
    const { gamma, beta } = this.#norm;
    const rescale = { beta: gamma, gamma: beta };
    return ops.sphereConv2d(x, this.#weight, { ...this.#options, ...SIGMOID, rescale, relu: true });
  };

  /** With batch norm and ReLU behind it, as a network in training runs it. */
  readonly convBlock: LayerOp = (x) => {
    const { gamma, beta, runningMean, runningVariance } = this.#norm;
    return ops.batchNorm(this.conv(x), gamma, beta, runningMean, runningVariance, { relu: true });
  };

  readonly sphereBlock: LayerOp = (x) =>
    ops.sphereConv2dNorm(x, this.#weight, this.#norm, {
      ...{ ...this.#options, ...SIGMOID, norm: { relu: true } },
    });

  /** A pass of the op, for the clock. */
  contestant(op: LayerOp, pass: Pass): Contestant {
    if (pass === 'forward') return { call: this.forward(op) };
    if (pass === 'whole') return { call: this.both(op) };
    return this.#gradient(op, pass === 'data gradient');
  }

  forward(op: LayerOp): Work {
    return (run) => {
      const set = run % this.sets;
      this.#replace(
        set,
        scope(() => noGrad(() => op(this.#xs[set] as Tensor))),
      );
    };
  }

  /** Forward and all gradients; without `data` that of the input is not wanted, as in a first layer. */
  both(op: LayerOp, data = true): Work {
    return (run) => {
      const set = run % this.sets;
      const x = this.#open(set, data, true);
      const y = scope(() => {
        const result = op(x);
        result.backward(this.#dys[set]);
        return result;
      });
      this.#replace(set, y);
      for (const parameter of this.#learnt()) parameter.zeroGrad();
    };
  }

  /** `both(sphere, false)` with the pass over the angles and the filters' gradient as ops of their own. */
  sphereFirstApart(): Work {
    return (run) => {
      const set = run % this.sets;
      const [x, dy, w] = [this.#open(set, false, true), this.#dys[set] as Tensor, this.#weight];
      const result = scope(() => {
        const { recipe, forward } = noGrad(() => angularForward('sphereConv2d', x, w, { ...this.#options, ...SIGMOID })); // prettier-ignore
        const { y, nx, nw, c } = forward;
        const [h, r, q, dw] = [allocateLike(y), allocateLike(nx), allocateLike(nw), allocateLike(w)];
        submit('sphereConv2dAngularBackward', recipe.angular, y, c, dy, null, nx, nw, h, r, q, null);
        submit('sphereConv2dWeightGradient', recipe.params, x, h, w, q, nw, dw);
        return y;
      });
      this.#replace(set, result);
    };
  }

  /** The backward pass alone, to the input or to the weights; for SphereConv with what both need before. */
  #gradient(op: LayerOp, data: boolean): Contestant {
    return {
      prepare: (run) => {
        const set = run % this.sets;
        const x = this.#open(set, data, !data);
        this.#replace(
          set,
          scope(() => op(x)),
        );
      },
      call: (run) => {
        const set = run % this.sets;
        this.#weight.zeroGrad();
        (this.#results[set] as Tensor).backward(this.#dys[set]);
      },
      mostCalls: this.sets,
    };
  }

  /** An input without a gradient from before; what gradients are wanted of from now on. */
  #open(set: number, data: boolean, weight: boolean): Tensor {
    const x = this.#xs[set] as Tensor;
    x.zeroGrad();
    x.requiresGrad = data;
    this.#weight.requiresGrad = weight;
    return x;
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
    for (const each of [...this.#xs, ...this.#dys, ...this.#results, ...own]) each?.dispose();
  }
}

/** Normally distributed numbers; outside of scopes. */
function filled(shape: readonly number[], { device, dtype, parameters }: Formats, deviation = 1): Tensor {
  const made = scope(() =>
    noGrad(() => {
      const wide = random.normal(shape, { device, dtype: parameters, deviation });
      return dtype === parameters ? wide : ops.cast(wide, dtype);
    }),
  );
  return keep(made);
}
