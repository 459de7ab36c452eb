import type { Tensor } from '../core/tensor';
import type * as ops from '../ops';
import { checkAngularLayer } from './angular';
import type { AngularLayerOptions, CheckedLayer } from './angular';
import type { BatchNorm2d } from './batch_norm2d';
import { createCurvature, effectiveCurvature } from './curvature';
import { heNormal } from './init';
import type { InitOptions, Initializer } from './init';
import { Module } from './module';
import { parameter } from './parameter';
import { createRadius, effectiveOperator, effectiveRadius } from './radius';

/** Options of every layer whose outputs are angles to its filters. */
export interface SphereLayerOptions extends AngularLayerOptions, InitOptions {
  /** How the weight is made; heNormal by default. */
  init?: Initializer | undefined;
}

/**
 * Base of {@link SphereConv2d} and {@link SphereLinear}: filters, and the operator with all of it that is learnt. There
 * is no bias.
 */
export abstract class AngularLayer extends Module {
  /** Filters along the first axis. Role `sphereKernel`: optimisers do not decay it by default. */
  readonly weight: Tensor;
  /** Raw learnable curvature, one number per filter or `[1]`, role `curvature`; null where k is fixed. */
  readonly curvature: Tensor | null;
  /** Raw learnable radius of a decoupled operator, one number per filter or `[1]`, role `radius`; null where it is fixed. */
  readonly radius: Tensor | null;
  /** Running average of the mean patch norm, with the sum of its weights: a buffer `[2]`; null where it is no unit. */
  readonly normAverage: Tensor | null;
  /** @internal */
  readonly angular: CheckedLayer;

  /** @throws SphereNetError in the name of `owner` where an option is out of range */
  protected constructor(
    owner: string,
    weightShape: readonly [filters: number, ...rest: number[]],
    options: SphereLayerOptions,
  ) {
    super();
    const { dtype = 'float32', generator, init = heNormal, radiusUnit } = options;
    const [filters] = weightShape;
    this.angular = checkAngularLayer(owner, options);
    const curvature = createCurvature(owner, options, filters, dtype);
    this.weight = parameter(init(weightShape, { dtype, generator }), 'sphereKernel');
    this.curvature = curvature;
    const { radius, normAverage } = createRadius(this.angular.decoupled, radiusUnit, filters, dtype);
    this.radius = radius;
    this.normAverage = normAverage;
  }

  /** The number of filters, and so of outputs per patch. */
  get filters(): number {
    return this.weight.shape[0] as number;
  }

  /** The k in effect: the fixed number, |raw| + 0.05 where it is learnt, undefined where the operator has none. */
  k(): number | Tensor | undefined {
    return this.curvature === null ? this.angular.k : effectiveCurvature(this.curvature);
  }

  /** ρ in its unit: the fixed number, raw² + 1e-4 where it is learnt, undefined where the operator has none. */
  rho(): number | Tensor | undefined {
    if (this.radius) return effectiveRadius(this.radius);
    const fixed = this.angular.decoupled?.radius;
    return typeof fixed === 'number' ? fixed : undefined;
  }

  forward(input: Tensor): Tensor {
    return this.forwardRescaled(input, undefined, false);
  }

  /** forward(), a rescaling behind it where given, and a ReLU behind that where `relu`, as one op. @internal */
  abstract forwardRescaled(input: Tensor, rescale: ops.Rescaling | undefined, relu: boolean): Tensor;

  /** forward(), the batch norm behind it, and a ReLU behind that where `relu`, as one op. @internal */
  abstract forwardNormed(input: Tensor, norm: BatchNorm2d, relu: boolean): Tensor;

  /** Whether what follows may be computed with it: not where a subclass does something else in its forward(). @internal */
  get isFusible(): boolean {
    return this.forward === AngularLayer.prototype.forward;
  }

  /** The operator with all that is learnt, as the ops take it. */
  protected operatorInEffect(): ops.AngularOptions {
    const { normAverage, training } = this;
    const { operator: g, epsilon, decoupled } = this.angular;
    const k = this.k();
    return {
      operator: decoupled ? effectiveOperator(decoupled, this.radius) : g,
      epsilon,
      ...(k !== undefined && { k }),
      ...(normAverage && { meanNorm: { average: normAverage, training } }),
    };
  }
}
