// Annealing of a margin, as the authors' SphereFace code has it.
import { tensor } from '../core/create';
import { checkNumber } from '../core/errors';
import type { Tensor } from '../core/tensor';
import { buffer } from './parameter';

/**
 * λ = max(minimum, base · (1 + gamma · iteration)^(−power)) by which {@link losses.gaSoftmax} mixes the target's logit
 * without margin into the one with it. Defaults are those of the authors' SphereFace code.
 */
export interface Annealing {
  /** λ to begin with, at least 0. Default 1000. */
  base?: number | undefined;
  /** At least 0. Default 0.12. */
  gamma?: number | undefined;
  /** At least 0. Default 1. */
  power?: number | undefined;
  /** λ never falls below it; at least 0. Default 5. */
  minimum?: number | undefined;
}

export type CheckedAnnealing = Readonly<Record<keyof Annealing, number>>;

/** Checks the options and fills in defaults. */
export function checkAnnealing(owner: string, options: Annealing): CheckedAnnealing {
  const { base = 1000, gamma = 0.12, power = 1, minimum = 5 } = options;
  const checked = { base, gamma, power, minimum };
  for (const [name, value] of Object.entries(checked))
    checkNumber(owner, `annealing.${name}`, value, 'a number of at least 0', (number) => number >= 0);
  return checked;
}

/** λ at an iteration. */
export function annealed({ base, gamma, power, minimum }: CheckedAnnealing, iteration: number): number {
  return Math.max(minimum, base * (1 + gamma * iteration) ** -power);
}

/** A counter from 0 that a module saves with its state: int32 [1]. */
export function counter(): Tensor {
  return buffer(tensor(Int32Array.of(0)));
}

/** What it counts to. Written from JavaScript, so it is known here without asking the device. */
export function countOf(count: Tensor): number {
  const { bounds } = count.handle;
  return bounds?.low ?? (count.dataSync()[0] as number);
}
