import { checkInteger, checkOneOf } from '../core/errors';
import type { Sequential } from '../nn';
import { buildClassifier } from './builder';
import type { Builder, StridedArchitectureOptions } from './builder';
import type { Classifier } from './classifier';
import { checkCounts, CIFAR, IMAGENET } from './options';

export interface ResNet32Options extends StridedArchitectureOptions {
  /** Channels of the three stages; [96, 192, 384] by default (the authors'; He et al. have 16, 32, 64). */
  widths?: readonly [number, number, number] | undefined;
  /** Residual units per stage, 2 convolutions each; 5 by default, which makes 6 · 5 + 2 layers. */
  units?: number | undefined;
}

export interface ResNet18Options extends StridedArchitectureOptions {
  /** Channels of the four stages; [64, 128, 256, 512] by default (He et al.'s; the paper's are not known). */
  widths?: readonly [number, number, number, number] | undefined;
  /** `v1`: the 1×1 shortcuts are SphereConvs too; `v2` (the default): they are ordinary convolutions. */
  variant?: 'v1' | 'v2' | undefined;
}

/**
 * SphereResNet-32 for CIFAR, as the authors' code has it: a 3×3 convolution; three stages of `units` residual units
 * with two 3×3 SphereConvs each and a ReLU after the sum, stages 2 and 3 beginning with stride 2; the mean over the map;
 * the head. A shortcut is the input, or an ordinary 1×1 convolution with batch norm where the width changes.
 *
 * ```ts
 * const model = models.resNet32({ operator: 'sigmoid', k: 0.3, head: { operator: 'sigmoid', k: 0.3 } });
 * ```
 *
 * Images are [32, 32, 3] in 10 classes by default; the head sees `widths[2]` features, head `softmax` has no bias.
 *
 * @throws SphereNetError naming the option that is out of range
 */
export function resNet32(options: ResNet32Options = {}): Classifier<Sequential> {
  const { widths = [96, 192, 384], units = 5 } = options;
  checkCounts('resNet32', 'widths', widths, 3);
  checkInteger('resNet32', 'units', units, 1);
  return buildClassifier('resNet32', options, CIFAR, (net) => {
    net.conv(widths[0], 3);
    widths.forEach((width, stage) => {
      for (let i = 0; i < units; ++i) residualUnit(net, width, stage > 0 && i === 0 ? 2 : 1, true);
    });
    net.globalAvgPool();
  });
}

/**
 * SphereResNet-18 for ImageNet, on the ResNet-18 of He et al. 2015: a 7×7 convolution with stride 2, a 3×3 max pool with
 * stride 2, four stages of two residual units, stages 2 to 4 beginning with stride 2, the mean over the map, the head.
 * The paper has two of it, `variant`; its widths are not known, so they are those of the ordinary ResNet-18.
 *
 * ```ts
 * const model = models.resNet18({ variant: 'v1' });
 * ```
 *
 * Images are [224, 224, 3] in 1000 classes by default; the head sees `widths[3]` features, head `softmax` has a bias.
 * With operator `none` it has the 11,689,512 parameters of torchvision's.
 *
 * @throws SphereNetError naming the option that is out of range
 */
export function resNet18(options: ResNet18Options = {}): Classifier<Sequential> {
  const { widths = [64, 128, 256, 512], variant = 'v2' } = options;
  checkCounts('resNet18', 'widths', widths, 4);
  checkOneOf('resNet18', 'variant', variant, ['v1', 'v2']);
  return buildClassifier('resNet18', options, IMAGENET, (net) => {
    net.conv(widths[0], 7, { stride: 2 }).maxPool(3, 2);
    widths.forEach((width, stage) => {
      residualUnit(net, width, stage > 0 ? 2 : 1, variant === 'v2');
      residualUnit(net, width, 1, variant === 'v2');
    });
    net.globalAvgPool();
  });
}

/** Two 3×3 convolutions, and a shortcut that is a 1×1 convolution where width or size changes. */
function residualUnit(net: Builder, width: number, stride: number, ordinary: boolean): void {
  const isSame = stride === 1 && width === net.channels;
  net.residual(
    (body) => body.conv(width, 3, { stride }).conv(width, 3, { relu: false }),
    isSame ? null : (shortcut) => shortcut.conv(width, 1, { stride, ordinary, relu: false }),
  );
}
