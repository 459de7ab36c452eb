import type { Sequential } from '../nn';
import { buildClassifier } from './builder';
import type { Builder, StridedArchitectureOptions } from './builder';
import type { Classifier } from './classifier';
import { IMAGENET, widthScale } from './options';

export interface GoogLeNetOptions extends StridedArchitectureOptions {
  /** Multiplies the channels of all convolutions, 1 by default. */
  widthFactor?: number | undefined;
  /** Probability of the dropout before the head, in [0, 1); 0.4 by default. */
  dropout?: number | undefined;
}

/** Widths of an Inception module: its 1×1 convolution, 3×3 with reduction, 5×5 with reduction, 1×1 behind the pool. */
type Inception = readonly [
  one: number,
  reduce3: number,
  three: number,
  reduce5: number,
  five: number,
  pool: number,
];

/** Table 1 of Szegedy et al. 2015, modules 3a to 5b; a max pool with stride 2 stands between stages. */
const STAGES: readonly (readonly Inception[])[] = [
  [
    [64, 96, 128, 16, 32, 32],
    [128, 128, 192, 32, 96, 64],
  ],
  [
    [192, 96, 208, 16, 48, 64],
    [160, 112, 224, 24, 64, 64],
    [128, 128, 256, 24, 64, 64],
    [112, 144, 288, 32, 64, 64],
    [256, 160, 320, 32, 128, 128],
  ],
  [
    [256, 160, 320, 32, 128, 128],
    [384, 192, 384, 48, 128, 128],
  ],
];

/**
 * GoogLeNet (Szegedy et al. 2015, Inception v1) of SphereConvs: a stem of three convolutions, nine Inception modules, the
 * mean over the map, dropout, the head. Every convolution is followed by its norm and ReLU, in place of the original's two
 * local response normalisations; there are no auxiliary classifiers.
 *
 * ```ts
 * const model = models.googLeNet({ operator: 'cosine', head: { operator: 'cosine' } });
 * ```
 *
 * Images are [224, 224, 3] in 1000 classes by default; the head sees 1024 features, head `softmax` has a bias.
 *
 * @throws SphereNetError naming the option that is out of range
 */
export function googLeNet(options: GoogLeNetOptions = {}): Classifier<Sequential> {
  const { widthFactor = 1, dropout = 0.4 } = options;
  const scaled = widthScale('googLeNet', widthFactor);
  return buildClassifier('googLeNet', options, IMAGENET, (net) => {
    net.conv(scaled(64), 7, { stride: 2 }).maxPool(3, 2);
    net.conv(scaled(64), 1).conv(scaled(192), 3);
    for (const modules of STAGES) {
      net.maxPool(3, 2);
      for (const widths of modules) inception(net, widths.map(scaled) as unknown as Inception);
    }
    net.globalAvgPool().dropout(dropout);
  });
}

function inception(net: Builder, [one, reduce3, three, reduce5, five, pool]: Inception): void {
  net.branches(
    (branch) => branch.conv(one, 1),
    (branch) => branch.conv(reduce3, 1).conv(three, 3),
    (branch) => branch.conv(reduce5, 1).conv(five, 5),
    (branch) => branch.maxPool(3, 1).conv(pool, 1),
  );
}
