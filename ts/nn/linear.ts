import { zeros } from '../core/create';
import { checkInteger } from '../core/errors';
import type { Tensor } from '../core/tensor';
import * as ops from '../ops';
import { heNormal } from './init';
import type { InitOptions, Initializer } from './init';
import { Module } from './module';
import { parameter } from './parameter';

export interface LinearOptions extends InitOptions {
  /** Adds a trained value to every output; true by default. */
  bias?: boolean | undefined;
  /** How the weight is made; heNormal by default. */
  init?: Initializer | undefined;
}

/**
 * Fully connected layer x Wᵀ + b.
 *
 * Input `[N, inFeatures]`, output `[N, outFeatures]`, weight `[outFeatures, inFeatures]`, bias `[outFeatures]`,
 * zero at the start.
 */
export class Linear extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor | null;
  readonly inFeatures: number;
  readonly outFeatures: number;

  /** @throws SphereNetError naming the argument that is out of range */
  constructor(inFeatures: number, outFeatures: number, options: LinearOptions = {}) {
    super();
    checkInteger('Linear', 'inFeatures', inFeatures, 1);
    checkInteger('Linear', 'outFeatures', outFeatures, 1);
    this.inFeatures = inFeatures;
    this.outFeatures = outFeatures;
    const { bias = true, dtype = 'float32', generator, init = heNormal } = options;
    this.weight = parameter(init([outFeatures, inFeatures], { dtype, generator }), 'kernel');
    this.bias = bias ? parameter(zeros([outFeatures], { dtype }), 'bias') : null;
  }

  forward(input: Tensor): Tensor {
    return ops.linear(input, this.weight, this.bias);
  }
}
