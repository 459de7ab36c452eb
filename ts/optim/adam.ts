import { describe, fail } from '../core/errors';
import { adamStep } from '../ops/optimizers';
import { checkRate, Optimizer } from './optimizer';
import type { Bucket, CommonHyper, CommonOptions, Group, Trainable } from './optimizer';

export interface AdamOptions extends CommonOptions {
  /** Decay of the first and second moment, each in [0, 1); [0.9, 0.999] by default. */
  betas?: readonly [number, number] | undefined;
  /** Added to the root of the second moment; 1e-8 by default. */
  epsilon?: number | undefined;
}

interface AdamHyper extends CommonHyper {
  betas: readonly [number, number];
  epsilon: number;
}

const SLOTS = ['firstMoment', 'secondMoment'] as const;

/** What Adam and AdamW share; they differ in where weight decay goes. */
abstract class AdamBase extends Optimizer<AdamHyper> {
  protected constructor(
    owner: string,
    params: Trainable<AdamOptions>,
    options: AdamOptions,
    private readonly decoupled: boolean,
  ) {
    super(owner, params, (own) => complete(owner, { ...options, ...own }));
  }

  protected slotNames(): readonly string[] {
    return SLOTS;
  }

  protected update(group: Group<AdamHyper>, { params, grads, slots, weightDecay, step }: Bucket): void {
    const { lr, betas, epsilon } = group;
    const { firstMoment = [], secondMoment = [] } = slots;
    adamStep(params, grads, firstMoment, secondMoment, {
      lr,
      beta1: betas[0],
      beta2: betas[1],
      epsilon,
      weightDecay,
      decoupled: this.decoupled,
      step,
    });
  }
}

/**
 * Adam (Kingma & Ba 2015), PyTorch's variant: weight decay is added to the gradient.
 *
 *     g = gradient + weightDecay · w
 *     m = β₁ m + (1 − β₁) g,  v = β₂ v + (1 − β₂) g²
 *     w = w − lr · m̂ / (√v̂ + epsilon),  m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)
 *
 * Defaults: lr 0.001, weightDecay 0.
 */
export class Adam extends AdamBase {
  /** @throws SphereNetError naming the option that is out of range */
  constructor(params: Trainable<AdamOptions>, options: AdamOptions = {}) {
    super('Adam', params, options, false);
  }
}

/**
 * AdamW (Loshchilov & Hutter 2019): weight decay shrinks the parameter itself, w = w · (1 − lr · weightDecay),
 * before Adam's step. Defaults: lr 0.001, weightDecay 0.01.
 */
export class AdamW extends AdamBase {
  /** @throws SphereNetError naming the option that is out of range */
  constructor(params: Trainable<AdamOptions>, options: AdamOptions = {}) {
    super('AdamW', params, { ...options, weightDecay: options.weightDecay ?? 0.01 }, true);
  }
}

function complete(owner: string, options: AdamOptions): AdamHyper {
  const { lr = 0.001, weightDecay = 0, decaySpheres = false, betas = [0.9, 0.999], epsilon = 1e-8 } = options;
  checkRate(owner, 'lr', lr);
  checkRate(owner, 'weightDecay', weightDecay);
  checkRate(owner, 'epsilon', epsilon);
  if (!Array.isArray(betas) || betas.length !== 2 || !betas.every((beta) => beta >= 0 && beta < 1)) {
    fail(owner, 'betas', 'two numbers in [0, 1)', describe(betas));
  }
  return { lr, weightDecay, decaySpheres, betas: [betas[0], betas[1]], epsilon };
}
