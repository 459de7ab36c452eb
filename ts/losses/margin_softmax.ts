import { MarginKind } from '../core/binding';
import { checkNumber, checkOneOf, describe, fail } from '../core/errors';
import type { Tensor } from '../core/tensor';
import * as ops from '../ops';
import { angularParams } from '../ops/angular_options';
import { widened } from '../ops/cast';
import { angularSoftmax, checkSmoothing, lengths } from './angular_softmax';
import type { MarginParams } from './angular_softmax';

export interface NormFaceOptions {
  /** s, which every feature counts as long as: above 0. Default 30. */
  scale?: number | undefined;
  /** Share of the target that is spread evenly over all classes, in [0, 1). Default 0. */
  labelSmoothing?: number | undefined;
  /**
   * Added to sums of squares under the root, above 0. Default 1e-12: next to nothing, so that features of any usual
   * length have s as theirs, but enough that zeros have an angle.
   */
  epsilon?: number | undefined;
}

export interface CosFaceOptions extends NormFaceOptions {
  /** Default 64. */
  scale?: number | undefined;
  /** m, at least 0. Default 0.35. */
  margin?: number | undefined;
}

export interface ArcFaceOptions extends NormFaceOptions {
  /** Default 64. */
  scale?: number | undefined;
  /** m in radians, at least 0. Default 0.5. */
  margin?: number | undefined;
  /**
   * Characteristic gradient detachment (SphereFace Revived): the margin moves the logits, but the gradient is that of
   * s·cos θ, which knows no arc cosine and so no infinite slopes. False: the derivative of the loss itself.
   * Default true.
   */
  detach?: boolean | undefined;
}

export interface SphereFaceOptions extends NormFaceOptions {
  /** m, at least 1, whole or not. Default 1.7. */
  margin?: number | undefined;
  /** As in {@link ArcFaceOptions}. Default true. */
  detach?: boolean | undefined;
}

export interface SphereFaceROptions extends NormFaceOptions {
  /** What the margin does: see {@link sphereFaceR}. Default 'v2'. */
  version?: 'v0' | 'v1' | 'v2' | undefined;
  /** What the features' length does: see {@link sphereFaceR}. Default 'hard'. */
  features?: 'hard' | 'soft' | 'none' | undefined;
  /** m, at least 1, whole or not. Default 1.5. */
  margin?: number | undefined;
  /** Factor of the cross-entropy, above 0: lw. Default 50, with features 'none' 1. */
  lossWeight?: number | undefined;
  /** t of features 'soft', at least 0. Default 0.01. */
  lengthWeight?: number | undefined;
  /** As in {@link ArcFaceOptions}. Default true. */
  detach?: boolean | undefined;
}

/** The options of each loss of the family. */
export interface MarginLossOptions {
  normFace: NormFaceOptions;
  cosFace: CosFaceOptions;
  arcFace: ArcFaceOptions;
  sphereFace: SphereFaceOptions;
  sphereFaceR: SphereFaceROptions;
}

export type MarginLoss = keyof MarginLossOptions;

/** A loss of the family with its options, checked. @internal */
export interface CheckedMarginLoss {
  readonly loss: MarginLoss;
  readonly params: MarginParams;
  readonly epsilon: number;
  /** Factor of the cross-entropy. */
  readonly factor: number;
  /** weight · |‖x‖ − length| is added, on average. */
  readonly pull: { readonly weight: number; readonly length: number } | null;
}

type AllOptions = CosFaceOptions & ArcFaceOptions & SphereFaceROptions;

/** What distinguishes the losses. `least`: the margin that is none, and the smallest. */
interface Recipe {
  readonly kind: number;
  readonly scale: number;
  readonly margin: number;
  readonly least: number;
  readonly takes: readonly (keyof AllOptions)[];
}

const COMMON = ['scale', 'labelSmoothing', 'epsilon'] as const;
const VERSIONS = { v0: MarginKind.Multiple, v1: MarginKind.ClampedMultiple, v2: MarginKind.DividedOthers };
const LENGTHS = ['hard', 'soft', 'none'] as const;

const RECIPES: Record<MarginLoss, Recipe> = {
  normFace: { kind: MarginKind.AdditiveCosine, scale: 30, margin: 0, least: 0, takes: COMMON },
  cosFace: {
    kind: MarginKind.AdditiveCosine,
    scale: 64,
    margin: 0.35,
    least: 0,
    takes: [...COMMON, 'margin'],
  },
  arcFace: {
    ...{ kind: MarginKind.AdditiveAngle, scale: 64, margin: 0.5, least: 0 },
    takes: [...COMMON, 'margin', 'detach'],
  },
  sphereFace: {
    ...{ kind: MarginKind.Multiple, scale: 30, margin: 1.7, least: 1 },
    takes: [...COMMON, 'margin', 'detach'],
  },
  sphereFaceR: {
    ...{ kind: MarginKind.DividedOthers, scale: 30, margin: 1.5, least: 1 },
    takes: [...COMMON, 'margin', 'detach', 'version', 'features', 'lossWeight', 'lengthWeight'],
  },
};

export const MARGIN_LOSSES = Object.keys(RECIPES) as readonly MarginLoss[];

/** Checks the options of a loss on behalf of `op` and fills in defaults. @internal */
export function checkMarginLoss<Loss extends MarginLoss>(
  op: string,
  loss: Loss,
  options: MarginLossOptions[Loss],
): CheckedMarginLoss {
  const recipe: Recipe = RECIPES[loss];
  const given: AllOptions = options;
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined && !recipe.takes.includes(name as keyof AllOptions))
      fail(op, name, `left out, because ${loss} takes ${recipe.takes.join(', ')}`, describe(value));
  }
  const { margin = recipe.margin, detach = true, labelSmoothing = 0, epsilon = 1e-12 } = given;
  const { features = 'hard', version = 'v2' } = given;
  checkNumber(op, 'margin', margin, `a number of at least ${recipe.least}`, (value) => value >= recipe.least);
  if (typeof detach !== 'boolean') fail(op, 'detach', 'true or false', describe(detach));
  checkSmoothing(op, labelSmoothing);
  checkNumber(op, 'epsilon', epsilon, 'a number above 0', (value) => value > 0);
  checkOneOf(op, 'features', features, LENGTHS);
  checkOneOf(op, 'version', version, Object.keys(VERSIONS) as (keyof typeof VERSIONS)[]);
  if (features === 'none' && given.scale !== undefined)
    fail(op, 'scale', "left out where features is 'none', because ‖x‖ is the scale", describe(given.scale));
  const { scale = recipe.scale } = given;
  checkNumber(op, 'scale', scale, 'a number above 0', (value) => value > 0);
  return {
    loss,
    params: {
      kind: loss === 'sphereFaceR' ? VERSIONS[version] : recipe.kind,
      ...{ margin, lambda: 0, smoothing: labelSmoothing, detached: detach },
      scale: features === 'hard' ? scale : 0,
    },
    epsilon,
    ...(loss === 'sphereFaceR' ? weights(op, given, features, scale) : { factor: 1, pull: null }),
  };
}

/** How SphereFace-R weighs its cross-entropy, and what it adds. */
function weights(
  op: string,
  given: AllOptions,
  features: (typeof LENGTHS)[number],
  scale: number,
): Pick<CheckedMarginLoss, 'factor' | 'pull'> {
  const { lossWeight = features === 'none' ? 1 : 50, lengthWeight = 0.01 } = given;
  checkNumber(op, 'lossWeight', lossWeight, 'a number above 0', (value) => value > 0);
  if (features !== 'soft' && given.lengthWeight !== undefined)
    fail(op, 'lengthWeight', "left out unless features is 'soft'", describe(given.lengthWeight));
  checkNumber(op, 'lengthWeight', lengthWeight, 'a number of at least 0', (value) => value >= 0);
  return {
    factor: features === 'none' ? lossWeight : lossWeight / scale,
    pull: features === 'soft' ? { weight: lengthWeight, length: scale } : null,
  };
}

/** The loss of features [N,D], weight [C,D] and labels [N]. @internal */
export function marginSoftmax(
  checked: CheckedMarginLoss,
  features: Tensor,
  weight: Tensor,
  labels: Tensor,
): Tensor {
  const { loss: op, params, epsilon, factor, pull } = checked;
  const { params: angular } = angularParams(op, { epsilon });
  const crossEntropy = angularSoftmax(op, features, weight, labels, angular, params);
  const weighted = factor === 1 ? crossEntropy : ops.scale(crossEntropy, factor);
  if (!pull) return weighted;
  const distances = ops.abs(ops.scale(lengths(widened(features), epsilon), 1, -pull.length));
  return ops.add(weighted, ops.scale(ops.mean(distances), pull.weight));
}

/**
 * NormFace, also CocoLoss (Wang et al. 2017; Liu et al. 2017): softmax cross-entropy of the logits s·cos θ_j, which no
 * length of features or weights enters.
 *
 * Of all losses here: ε stays under the root, and the gradient is perpendicular to each row of the features. Rows with
 * NaN or infinities pass nothing back.
 *
 * @param features [N,D]; computed with as float32 where they have 16 bits, and so is the loss
 * @param weight [C,D], any length: only directions count; of the features' dtype, or float32 beside 16 bits
 * @param labels int32 [N], from 0 to C − 1
 * @returns a scalar, the mean over the batch
 * @throws SphereNetError (SPHERENET_ARGUMENT) naming the argument or option that is out of range
 */
export function normFace(
  features: Tensor,
  weight: Tensor,
  labels: Tensor,
  options: NormFaceOptions = {},
): Tensor {
  return marginSoftmax(checkMarginLoss('normFace', 'normFace', options), features, weight, labels);
}

/**
 * CosFace, also AM-Softmax (Wang et al. 2018): {@link normFace} whose target logit is s·(cos θ_y − m). Arguments, result
 * and errors as there.
 */
export function cosFace(
  features: Tensor,
  weight: Tensor,
  labels: Tensor,
  options: CosFaceOptions = {},
): Tensor {
  return marginSoftmax(checkMarginLoss('cosFace', 'cosFace', options), features, weight, labels);
}

/**
 * ArcFace (Deng et al. 2019): {@link normFace} whose target logit is s·cos(min(θ_y + m, π)). Arguments, result and errors
 * as there. Without `detach`, 1/sin θ_y of the slope is cut off at 1000.
 */
export function arcFace(
  features: Tensor,
  weight: Tensor,
  labels: Tensor,
  options: ArcFaceOptions = {},
): Tensor {
  return marginSoftmax(checkMarginLoss('arcFace', 'arcFace', options), features, weight, labels);
}

/**
 * SphereFace of features of one length (Liu et al. 2017, as OpenSphere has it): {@link normFace} whose target logit is
 * s·ψ(θ_y), ψ(θ) = (−1)^j cos(mθ) − 2j on [jπ/m, (j+1)π/m] for any real m. Arguments, result and errors as there. The
 * original, with ‖x‖ as the scale and annealing, is {@link gaSoftmax} with operator 'cosine'.
 */
export function sphereFace(
  features: Tensor,
  weight: Tensor,
  labels: Tensor,
  options: SphereFaceOptions = {},
): Tensor {
  return marginSoftmax(checkMarginLoss('sphereFace', 'sphereFace', options), features, weight, labels);
}

/**
 * SphereFace-R (SphereFace Revived, Liu et al. 2022; formulas as in OpenSphere). Arguments, result and errors as of
 * {@link normFace}. `version` is what the margin m does to the logits s·cos θ:
 *
 * - 'v0' the target's is s·ψ(θ_y), as of {@link sphereFace}
 * - 'v1' the target's is s·cos(min(m θ_y, π))
 * - 'v2' the target's stays s·cos θ_y, all others are s·cos(θ_j / m)
 *
 * `features` is what s is, with CE the cross-entropy and lw the `lossWeight`:
 *
 * - 'hard' s is `scale`, the loss lw·CE / s
 * - 'soft' s is ‖x‖, the loss lw·CE / scale + t·mean |‖x‖ − scale|, t the `lengthWeight`
 * - 'none' s is ‖x‖, the loss lw·CE
 */
export function sphereFaceR(
  features: Tensor,
  weight: Tensor,
  labels: Tensor,
  options: SphereFaceROptions = {},
): Tensor {
  return marginSoftmax(checkMarginLoss('sphereFaceR', 'sphereFaceR', options), features, weight, labels);
}
