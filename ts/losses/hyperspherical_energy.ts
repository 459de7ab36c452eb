import { describe, fail } from '../core/errors';
import type { Tensor } from '../core/tensor';
import * as ops from '../ops';
import { filterRows, gram, identityOf, unitRows } from './filters';

export interface HypersphericalEnergyOptions {
  /** s: how steeply the energy of a pair falls with its distance, 0 (logarithmic), 1 or 2; 0 by default. */
  power?: 0 | 1 | 2 | undefined;
  /** Distances are angles θ/π instead of chords; false by default. */
  angular?: boolean | undefined;
  /** Filters and their negatives repel each other, as both stand for one line; false by default. */
  halfSpace?: boolean | undefined;
}

// Added to squared chords and to angles / π: a pair in one place has a large energy instead of an infinite one.
const FLOOR = 1e-4;

/**
 * The mean energy of pairs of filters that repel each other on the unit sphere, least where they are spread evenly
 * (Minimum Hyperspherical Energy, Liu et al. 2018, as in the authors' code). Unlike {@link orthogonality} it has something
 * to say where there are more filters than dimensions. With c the cosine between the filters of a pair:
 *
 *     chords, q = 2 − 2c + 1e-4          power 0: −log q     1: q^(−1/2)    2: q^(−1)
 *     angles, q = acos(c) / π + 1e-4     power 0: −log q     1: q^(−1)      2: q^(−2)
 *
 * The authors' chords go without the 1e-4, and are infinite for filters of equal direction. Filters are divided by
 * √(Σw² + 1e-8) first, and one of zeros is at right angles to all others. `halfSpace` takes the mean over all pairs of
 * {w} ∪ {−w}. The authors weigh hidden layers by 1 (angles with power 1 or 2: 0.1), beside ordinary weight decay.
 *
 * @param weight [O, …] of at least 2 axes and 2 filters; computed with as float32 where it has 16 bits, and so is the loss
 * @returns a scalar
 */
export function hypersphericalEnergy(weight: Tensor, options: HypersphericalEnergyOptions = {}): Tensor {
  const { power = 0, angular = false, halfSpace = false } = options;
  if (![0, 1, 2].includes(power)) fail('hypersphericalEnergy', 'power', '0, 1 or 2', describe(power));
  const rows = unitRows(filterRows('hypersphericalEnergy', weight, 2));
  const [filters] = rows.shape as [number, number];
  const cosines = gram(rows);
  const others = ops.scale(identityOf(rows), -1, 1);
  const sum = (c: Tensor): Tensor => ops.sum(ops.mul(pairEnergy(c, power, angular), others));
  if (!halfSpace) return ops.scale(sum(cosines), 1 / (filters * (filters - 1)));
  // Of the pairs of {w} ∪ {−w}, the two of like sign are in the first sum as (i, j) and (j, i), the two of unlike sign in
  // the second. A filter and its own negative make a constant.
  const pairs = filters * (2 * filters - 1);
  const total = ops.add(sum(cosines), sum(ops.scale(cosines, -1)));
  return ops.scale(total, 1 / pairs, (filters * ownNegative(power, angular)) / pairs);
}

/** The power of q that is the energy, where it is one. */
function exponentOf(power: 0 | 1 | 2, angular: boolean): number {
  return angular ? -power : -power / 2;
}

function pairEnergy(cosines: Tensor, power: 0 | 1 | 2, angular: boolean): Tensor {
  // Rounding may have led a cosine beyond 1.
  const distance = angular
    ? ops.scale(ops.acos(cosines), 1 / Math.PI, FLOOR)
    : ops.add(ops.relu(ops.scale(cosines, -2, 2)), FLOOR);
  if (power === 0) return ops.scale(ops.log(distance), -1);
  return ops.power(distance, exponentOf(power, angular));
}

/** The same for a cosine of −1. */
function ownNegative(power: 0 | 1 | 2, angular: boolean): number {
  const distance = (angular ? 1 : 4) + FLOOR;
  return power === 0 ? -Math.log(distance) : distance ** exponentOf(power, angular);
}
