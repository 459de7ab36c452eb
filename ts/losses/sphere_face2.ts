import { checkInteger, checkNumber } from '../core/errors';
import type { Tensor } from '../core/tensor';
import * as ops from '../ops';
import { widened } from '../ops/cast';
import { checkLabels, checkTensor } from '../ops/check';

export interface SphereFace2Options {
  /** r: how far logits reach, above 0; 40 by default. */
  scale?: number | undefined;
  /** m: what is taken from the similarity to the own class and added to the others', at least 0; 0.4 by default. */
  margin?: number | undefined;
  /** α: weight of the own class's term, in (0, 1); the other classes' is 1 − α. 0.7 by default. */
  alpha?: number | undefined;
  /** t: how much the similarity favours small angles, at least 1; 3 by default. */
  t?: number | undefined;
  /** Factor of the whole loss, above 0; 50 by default. */
  lossWeight?: number | undefined;
  /**
   * Passes gradients through g and the margin as if g(z) were z (characteristic gradient detachment, as in opensphere);
   * false by default: then gradients are those of the formula.
   */
  detached?: boolean | undefined;
}

/** Options with defaults, checked. */
export type SphereFace2Settings = {
  readonly [Name in keyof SphereFace2Options]-?: NonNullable<SphereFace2Options[Name]>;
};

// Under the root of the lengths of features and weights: small, as opensphere has none, and above 0 for zero vectors.
const EPSILON = 1e-8;

/** Checks the options and fills in defaults (those of opensphere). @internal */
export function sphereFace2Settings(owner: string, options: SphereFace2Options): SphereFace2Settings {
  const { scale = 40, margin = 0.4, alpha = 0.7, t = 3, lossWeight = 50, detached = false } = options;
  checkNumber(owner, 'scale', scale, 'a number above 0', (value) => value > 0);
  checkNumber(owner, 'margin', margin, 'a number of at least 0', (value) => value >= 0);
  checkNumber(owner, 'alpha', alpha, 'a number in (0, 1)', (value) => value > 0 && value < 1);
  checkNumber(owner, 't', t, 'a number of at least 1', (value) => value >= 1);
  checkNumber(owner, 'lossWeight', lossWeight, 'a number above 0', (value) => value > 0);
  return { scale, margin, alpha, t, lossWeight, detached };
}

/** Cosines between rows of features and of weights, float32 where the features have 16 bits. @internal */
export function classCosines(features: Tensor, weight: Tensor): Tensor {
  return ops.sphereLinear(widened(features), widened(weight), { operator: 'cosine', epsilon: EPSILON });
}

/** g(z) = 2 ((z + 1) / 2)^t − 1. @internal */
export function similarity(cosines: Tensor, t: number): Tensor {
  // Rounding may have led a cosine below −1, where a power need not exist.
  const share = ops.relu(ops.scale(cosines, 0.5, 0.5));
  return ops.scale(ops.power(share, t), 2, -1);
}

/**
 * SphereFace2 (Wen et al. 2022, variant C, as in opensphere): one binary classification per class, so that the classes
 * need not compete in a softmax. With z_j the cosine between features and class weight j and g(z) = 2((z + 1)/2)^t − 1,
 * the loss is lossWeight / r times the mean over the batch of
 *
 *     α log(1 + e^{−(r(g(z_y) − m) + b)}) + (1 − α) Σ_{j≠y} log(1 + e^{r(g(z_j) + m) + b})
 *
 * Lengths are √(Σx² + 1e-8): features or weights of zeros have a cosine of 0 with everything.
 *
 * @param features [N,D]; computed with as float32 where they have 16 bits, and so is the loss
 * @param weight [C,D], any length: only directions count; of the features' dtype, or float32 beside 16 bits
 * @param labels int32 [N], from 0 to C − 1
 * @param bias b, [1]; float32 beside 16 bits
 * @returns a scalar
 */
export function sphereFace2(
  features: Tensor,
  weight: Tensor,
  labels: Tensor,
  bias: Tensor,
  options: SphereFace2Options = {},
): Tensor {
  const op = 'sphereFace2';
  const { scale: r, margin, alpha, t, lossWeight, detached } = sphereFace2Settings(op, options);
  checkTensor(op, 'features', features, { axes: 'ND' });
  const [batch, length] = features.shape as [number, number];
  checkTensor(op, 'weight', weight, { axes: 'CD', like: features, as: 'filter' });
  const classes = weight.shape[0] as number;
  checkTensor(op, 'weight', weight, { shape: [classes, length] });
  checkTensor(op, 'bias', bias, { shape: [1], like: features, as: 'parameter' });
  checkLabels(op, labels, features, classes);

  const cosines = classCosines(features, weight);
  const g = similarity(cosines, t);
  const seen = detached ? ops.add(cosines, ops.sub(g, cosines).detach()) : g;
  const own = ops.oneHot(labels, classes, bias.dtype as 'float32' | 'float64');
  const logits = ops.add(ops.sub(ops.scale(seen, r), ops.scale(own, 2 * r * margin, -r * margin)), bias);
  // log(1 + e^{−logit}) for the own class, log(1 + e^{logit}) for the others.
  const terms = ops.softplus(ops.mul(logits, ops.scale(own, -2, 1)));
  const weights = ops.scale(own, 2 * alpha - 1, 1 - alpha);
  return ops.scale(ops.sum(ops.mul(terms, weights)), lossWeight / (r * batch));
}

/**
 * The bias b at which the loss of features at right angles to all class weights does not change with b.
 *
 * There z = 0, so that with p = r(g(0) − m) and n = r(g(0) + m) the derivative of the sum above by b vanishes where
 *
 *     α / (1 + e^{p + b}) = (1 − α)(C − 1) e^{n + b} / (1 + e^{n + b})
 *
 * With ζ = α / ((1 − α)(C − 1)), q = e^{p − n} = e^{−2rm} and v = e^{n + b} this is q v² + (1 − ζ) v − ζ = 0, whose
 * positive root is v = 2ζ / (1 − ζ + √((1 − ζ)² + 4ζq)), and b = log v − n: opensphere's initial value.
 */
export function sphereFace2Bias(classes: number, options: SphereFace2Options = {}): number {
  const { scale: r, margin, alpha, t } = sphereFace2Settings('sphereFace2Bias', options);
  checkInteger('sphereFace2Bias', 'classes', classes, 2);
  const zeta = alpha / ((1 - alpha) * (classes - 1));
  const root = Math.sqrt((1 - zeta) ** 2 + 4 * zeta * Math.exp(-2 * r * margin));
  // Where ζ is above 1 the denominator would cancel: the same root with the numerator's conjugate.
  const logV =
    zeta <= 1
      ? Math.log(2 * zeta) - Math.log(1 - zeta + root)
      : Math.log((zeta - 1 + root) / 2) + 2 * r * margin;
  const atRightAngles = 2 * 0.5 ** t - 1;
  return logV - r * (atRightAngles + margin);
}
