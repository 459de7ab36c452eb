import { describe, fail } from '../core/errors';
import type { Optimizer } from './optimizer';

/** The share of the base learning rate to use at a step, counted from 0. Pure, so schedules compose. */
export type Factor = (step: number) => number;

/** The same factor at every step; 1 by default. */
export function constant(factor = 1): Factor {
  return () => factor;
}

/**
 * Multiplies by gamma at each milestone: 1 before the first, gammaⁿ after the n-th.
 *
 * @param options.milestones ascending steps; the paper's for CIFAR are [34000, 54000]
 * @param options.gamma above 0; 0.1 by default
 */
export function stepDecay(options: { milestones: readonly number[]; gamma?: number }): Factor {
  const { milestones, gamma = 0.1 } = options;
  milestones.forEach((milestone, i) => {
    if (!Number.isInteger(milestone) || milestone <= (milestones[i - 1] ?? -1)) {
      fail('stepDecay', 'milestones', 'ascending whole numbers of at least 0', describe(milestones));
    }
  });
  if (!(gamma > 0)) fail('stepDecay', 'gamma', 'a number above 0', describe(gamma));
  return (step) => gamma ** milestones.filter((milestone) => milestone <= step).length;
}

/**
 * Half a cosine (Loshchilov & Hutter 2017): from 1 at step 0 to `minimum` at step `total`, where it stays.
 *
 * @param minimum in [0, 1]; 0 by default
 */
export function cosine({ total, minimum = 0 }: { total: number; minimum?: number }): Factor {
  checkSteps('cosine', 'total', total);
  if (!(minimum >= 0 && minimum <= 1)) fail('cosine', 'minimum', 'a number in [0, 1]', describe(minimum));
  return (step) => minimum + ((1 - minimum) * (1 + Math.cos((Math.PI * Math.min(step, total)) / total))) / 2;
}

/**
 * Multiplies `next` by a linear ramp that reaches 1 at the last of the first `steps` steps. `next` sees the same step,
 * so that its milestones and totals count from the start of the training.
 */
export function warmup(steps: number, next: Factor = constant()): Factor {
  checkSteps('warmup', 'steps', steps);
  return (step) => Math.min(1, (step + 1) / steps) * next(step);
}

/**
 * Moves the learning rates of an optimiser: each group's is its rate at the schedule's creation times the factor.
 *
 * ```ts
 * const schedule = new optim.Schedule(opt, optim.warmup(500, optim.cosine({ total: 10_000 })));
 * opt.step();
 * schedule.step();
 * ```
 */
export class Schedule {
  private readonly base: readonly number[];
  private count = 0;

  constructor(
    private readonly optimizer: Optimizer,
    private readonly factor: Factor,
  ) {
    this.base = optimizer.groups.map(({ lr }) => lr);
    this.apply();
  }

  /** How often step() was called. Setting it, after loading a checkpoint, sets the rates of that step. */
  get steps(): number {
    return this.count;
  }

  set steps(count: number) {
    if (!Number.isInteger(count) || count < 0) {
      fail('Schedule', 'steps', 'a whole number of at least 0', describe(count));
    }
    this.count = count;
    this.apply();
  }

  /** Goes on to the next step; call it after the optimiser's. */
  step(): void {
    this.steps = this.count + 1;
  }

  private apply(): void {
    const factor = this.factor(this.count);
    if (!Number.isFinite(factor) || factor < 0) {
      fail('Schedule', 'factor', `a finite number of at least 0 at step ${this.count}`, describe(factor));
    }
    this.optimizer.groups.forEach((group, i) => {
      group.lr = (this.base[i] ?? 0) * factor;
    });
  }
}

function checkSteps(owner: string, argument: string, steps: number): void {
  if (!Number.isInteger(steps) || steps < 1) {
    fail(owner, argument, 'a whole number of at least 1', describe(steps));
  }
}
