import { checkInteger, describe, fail } from '../core/errors';
import type { Sequential } from '../nn';
import { buildClassifier } from './builder';
import type { Classifier } from './classifier';
import { checkCounts, checkHalvings, CIFAR } from './options';
import type { ArchitectureOptions } from './options';

export interface SphereCnnOptions extends ArchitectureOptions {
  /** Convolutions in all, a multiple of 3: the paper has 3, 9, 18, 45, 60 and 69; 9 by default. */
  depth?: number | undefined;
  /** Channels of the three blocks; [64, 96, 128] by default (the paper's; the authors' code has 128, 192, 256). */
  widths?: readonly [number, number, number] | undefined;
  /** Width of the fully connected layer, which is what the head and `embed` see; 256 by default. */
  features?: number | undefined;
}

/** What {@link sphereCnn} makes; `features.layers` are the single layers. */
export type SphereCnn = Classifier<Sequential>;

/**
 * The plain networks of the paper (Deep Hyperspherical Learning, appendix), CNN-3 to CNN-69: three blocks of depth / 3
 * convolutions of 3×3, each SphereConv, norm, ReLU, with a 2×2 max pool after each block; then a fully connected
 * SphereConv of `features` outputs, norm and no ReLU; then the head. Head `softmax` has no bias, as in the authors' code.
 *
 * ```ts
 * const model = models.sphereCnn({ depth: 3, operator: 'sigmoid', k: 0.3, head: { operator: 'linear', margin: 4 } });
 * const baseline = models.sphereCnn({ depth: 3, operator: 'none' });
 * ```
 *
 * Images are [32, 32, 3] in 10 classes by default, and at least 8 × 8.
 *
 * @throws SphereNetError naming the option that is out of range
 */
export function sphereCnn(options: SphereCnnOptions = {}): SphereCnn {
  const { depth = 9, widths = [64, 96, 128], features = 256, inputShape = CIFAR.inputShape } = options;
  if (!Number.isInteger(depth) || depth < 3 || depth % 3 !== 0) {
    fail('sphereCnn', 'depth', 'a multiple of 3, such as 3, 9, 18, 45, 60 and 69', describe(depth));
  }
  checkCounts('sphereCnn', 'widths', widths, 3);
  checkInteger('sphereCnn', 'features', features, 1);
  checkCounts('sphereCnn', 'inputShape', inputShape, 3);
  checkHalvings('sphereCnn', inputShape, 3);
  return buildClassifier('sphereCnn', options, CIFAR, (net) => {
    for (const width of widths) {
      for (let i = 0; i < depth / 3; ++i) net.conv(width, 3);
      net.halve();
    }
    net.flatten().linear(features, { relu: false });
  });
}
