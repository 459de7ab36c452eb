import { checkOneOf } from '../core/errors';
import { Branches, Flatten, GlobalAvgPool2d, MaxPool2d, Residual, Sequential } from '../nn';
import type { Module } from '../nn';
import type { Padding } from '../ops';
import { Classifier } from './classifier';
import { LayerFactory } from './layers';
import { checkCounts, makeHead } from './options';
import type { ArchitectureDefaults, ArchitectureOptions } from './options';

/**
 * Where windows of stride 2 lie on maps of an even size: with `symmetric` padding the first window is centred on the
 * first pixel, as in PyTorch; with `same` on the second, as TensorFlow's SAME has it, which pads below and to the right
 * only. Outputs have the same size, and maps of an odd size are padded alike.
 */
export type StridedPadding = 'symmetric' | 'same';

/** Options of architectures that have convolutions or overlapping pools with stride 2. */
export interface StridedArchitectureOptions extends ArchitectureOptions {
  /** Windows with stride 2, laid out for `inputShape`; `symmetric` by default, `same` is the authors'. */
  padding?: StridedPadding | undefined;
}

/** Height and width of a map, and its channels. */
interface Maps {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

interface Windows {
  readonly stride: number;
  readonly padding: Padding;
}

type Part = (net: Builder) => void;

/** Puts layers one behind the other and follows the shape of what they pass on. */
export class Builder {
  readonly layers: Module[] = [];
  readonly #make: LayerFactory;
  readonly #padding: StridedPadding;
  #maps: Maps;

  constructor(make: LayerFactory, maps: Maps, padding: StridedPadding) {
    this.#make = make;
    this.#maps = maps;
    this.#padding = padding;
  }

  get channels(): number {
    return this.#maps.channels;
  }

  /** A convolution that keeps the size, or divides it by `stride` and rounds up; its norm; a ReLU unless told. */
  conv(
    channels: number,
    kernel: number,
    {
      stride = 1,
      ordinary = false,
      relu = true,
    }: { stride?: number; ordinary?: boolean; relu?: boolean } = {},
  ): this {
    const windows = this.#windows(kernel, stride);
    this.layers.push(...this.#make.conv(this.channels, channels, kernel, { ...windows, ordinary }));
    if (relu) this.layers.push(...this.#make.activation());
    this.#stepTo(stride, channels);
    return this;
  }

  /** A max pool that keeps the size, or divides it by `stride` and rounds up. */
  maxPool(kernel: number, stride: number): this {
    this.layers.push(new MaxPool2d(kernel, this.#windows(kernel, stride)));
    this.#stepTo(stride, this.channels);
    return this;
  }

  /** A 2 × 2 max pool, which halves the size and rounds down. */
  halve(): this {
    this.layers.push(new MaxPool2d(2));
    const { height, width, channels } = this.#maps;
    this.#maps = { height: Math.floor(height / 2), width: Math.floor(width / 2), channels };
    return this;
  }

  /** The sum of two parts, then a ReLU; without a shortcut, of a part and its input. */
  residual(body: Part, shortcut: Part | null = null): this {
    const [main, bypass] = [this.#part(body), shortcut && this.#part(shortcut)];
    this.layers.push(new Residual(main.#sequence(), bypass && bypass.#sequence(), { relu: this.#make.relu }));
    this.#maps = main.#maps;
    return this;
  }

  /** Parts side by side, their channels one behind the other. */
  branches(...parts: Part[]): this {
    const built = parts.map((part) => this.#part(part));
    this.layers.push(new Branches(...built.map((part) => part.#sequence())));
    const channels = built.reduce((sum, part) => sum + part.channels, 0);
    this.#maps = { ...(built[0] as Builder).#maps, channels };
    return this;
  }

  flatten(): this {
    const { height, width, channels } = this.#maps;
    this.layers.push(new Flatten());
    this.#maps = { height: 1, width: 1, channels: height * width * channels };
    return this;
  }

  globalAvgPool(): this {
    this.layers.push(new GlobalAvgPool2d());
    this.#maps = { height: 1, width: 1, channels: this.channels };
    return this;
  }

  /** A fully connected layer and its norm; a ReLU unless told. */
  linear(features: number, { relu = true }: { relu?: boolean } = {}): this {
    this.layers.push(...this.#make.linear(this.channels, features));
    if (relu) this.layers.push(...this.#make.activation());
    this.#maps = { ...this.#maps, channels: features };
    return this;
  }

  dropout(probability: number): this {
    if (probability !== 0) this.layers.push(this.#make.dropout(probability));
    return this;
  }

  #part(part: Part): Builder {
    const net = new Builder(this.#make, this.#maps, this.#padding);
    part(net);
    return net;
  }

  #sequence(): Sequential {
    return new Sequential(...this.layers);
  }

  #stepTo(stride: number, channels: number): void {
    const { height, width } = this.#maps;
    this.#maps = { height: Math.ceil(height / stride), width: Math.ceil(width / stride), channels };
  }

  #windows(kernel: number, stride: number): Windows {
    const half = (kernel - 1) / 2;
    if (this.#padding === 'symmetric' || stride === 1) return { stride, padding: half };
    const { height, width } = this.#maps;
    return { stride, padding: [...same(height, kernel, stride), ...same(width, kernel, stride)] };
  }
}

/** TensorFlow's SAME: before and after, what makes ceil(extent / stride) windows fit; the odd one goes behind. */
function same(extent: number, kernel: number, stride: number): [before: number, after: number] {
  const total = Math.max(0, (Math.ceil(extent / stride) - 1) * stride + kernel - extent);
  const before = Math.floor(total / 2);
  return [before, total - before];
}

/**
 * The classifier whose features `topology` builds.
 *
 * @param owner name of the architecture, for errors
 */
export function buildClassifier(
  owner: string,
  options: StridedArchitectureOptions,
  defaults: ArchitectureDefaults,
  topology: Part,
): Classifier<Sequential> {
  const { inputShape = defaults.inputShape, padding = 'symmetric' } = options;
  checkCounts(owner, 'inputShape', inputShape, 3);
  checkOneOf(owner, 'padding', padding, ['symmetric', 'same']);
  const [height, width, channels] = inputShape;
  const make = new LayerFactory(owner, options);
  try {
    const net = new Builder(make, { height, width, channels }, padding);
    topology(net);
    // The head last, so that nets of one seed have the same first layers whatever the head.
    return new Classifier(new Sequential(...net.layers), makeHead(owner, options, net.channels, defaults));
  } catch (error) {
    make[Symbol.dispose]();
    throw error;
  }
}
