import { zeros } from '../core/create';
import type { Tensor } from '../core/tensor';
import * as ops from '../ops';
import type { ConvOptions, Pair } from '../ops';
import { checkConv } from './geometry';
import type { CheckedConv } from './geometry';
import { heNormal } from './init';
import type { InitOptions, Initializer } from './init';
import { Module } from './module';
import { parameter } from './parameter';

export interface Conv2dOptions extends ConvOptions, InitOptions {
  /** Adds a trained value to every output channel; true by default. */
  bias?: boolean | undefined;
  /** How the weight is made; heNormal by default. */
  init?: Initializer | undefined;
}

/**
 * Ordinary convolution ⟨x, w⟩ + b.
 *
 * Input `[N, H, W, inChannels]`, output `[N, OH, OW, outChannels]`, weight
 * `[outChannels, KH, KW, inChannels / groups]`, bias `[outChannels]`, zero at the start.
 */
export class Conv2d extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor | null;
  readonly inChannels: number;
  readonly outChannels: number;
  private readonly conv: CheckedConv['conv'];

  /**
   * @param kernel side of the kernel, or `[height, width]`
   * @throws SphereNetError naming the argument that is out of range
   */
  constructor(inChannels: number, outChannels: number, kernel: Pair, options: Conv2dOptions = {}) {
    super();
    const { conv, weightShape } = checkConv('Conv2d', inChannels, outChannels, kernel, options);
    const { bias = true, dtype = 'float32', generator, init = heNormal } = options;
    this.inChannels = inChannels;
    this.outChannels = outChannels;
    this.conv = conv;
    this.weight = parameter(init(weightShape, { dtype, generator }), 'kernel');
    this.bias = bias ? parameter(zeros([outChannels], { dtype }), 'bias') : null;
  }

  forward(input: Tensor): Tensor {
    return ops.conv2d(input, this.weight, this.bias, this.conv);
  }
}
