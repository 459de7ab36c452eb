import { checkInteger } from '../core/errors';
import type { Sequential } from '../nn';
import { buildClassifier } from './builder';
import type { Classifier } from './classifier';
import { checkCounts, checkHalvings, IMAGENET, widthScale } from './options';
import type { ArchitectureOptions } from './options';

export interface Vgg16Options extends ArchitectureOptions {
  /** Multiplies the channels of all convolutions, 64 to 512; 1 by default. */
  widthFactor?: number | undefined;
  /** Width of the two fully connected layers, which is what the head and `embed` see; 4096 by default. */
  features?: number | undefined;
  /** Probability of the dropout behind both fully connected layers, in [0, 1); 0.5 by default. */
  dropout?: number | undefined;
}

const BLOCKS = [
  { width: 64, depth: 2 },
  { width: 128, depth: 2 },
  { width: 256, depth: 3 },
  { width: 512, depth: 3 },
  { width: 512, depth: 3 },
] as const;

/**
 * VGG-16 (Simonyan & Zisserman 2015, configuration D) of SphereConvs: 13 convolutions of 3×3 in five blocks, a 2×2 max
 * pool after each, two fully connected SphereConvs of `features` outputs with ReLU and dropout, the head. The original
 * has no batch norm: `norm: 'none'`; with operator `none` it then has its 138,357,544 parameters.
 *
 * ```ts
 * const model = models.vgg16({ operator: 'linear', inputShape: [64, 64, 3], classes: 200, features: 512 });
 * ```
 *
 * Images are [224, 224, 3] in 1000 classes by default, and at least 32 × 32; head `softmax` has a bias.
 *
 * @throws SphereNetError naming the option that is out of range
 */
export function vgg16(options: Vgg16Options = {}): Classifier<Sequential> {
  const { widthFactor = 1, features = 4096, dropout = 0.5, inputShape = IMAGENET.inputShape } = options;
  const scaled = widthScale('vgg16', widthFactor);
  checkInteger('vgg16', 'features', features, 1);
  checkCounts('vgg16', 'inputShape', inputShape, 3);
  checkHalvings('vgg16', inputShape, BLOCKS.length);
  return buildClassifier('vgg16', options, IMAGENET, (net) => {
    for (const { width, depth } of BLOCKS) {
      for (let i = 0; i < depth; ++i) net.conv(scaled(width), 3);
      net.halve();
    }
    net.flatten();
    for (let i = 0; i < 2; ++i) net.linear(features).dropout(dropout);
  });
}
