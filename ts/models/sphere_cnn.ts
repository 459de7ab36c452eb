import { checkInteger, checkOneOf, describe, fail } from '../core/errors';
import type { Generator } from '../core/random';
import {
  AngularHead,
  BatchNorm2d,
  Conv2d,
  Flatten,
  Head,
  Linear,
  MaxPool2d,
  ReLU,
  Sequential,
  SoftmaxHead,
  SphereConv2d,
  SphereLinear,
} from '../nn';
import type { AngularHeadOptions, AngularLayerOptions, Curvature, Module } from '../nn';
import { Classifier } from './classifier';

export interface SphereCnnOptions {
  /** Convolutions in all: 3 (CNN-3, one per block) or 9 (CNN-9, three per block); 9 by default. */
  depth?: 3 | 9 | undefined;
  /** Channels of the three blocks; [64, 96, 128] by default (the paper's; the authors' code has 128, 192, 256). */
  widths?: readonly [number, number, number] | undefined;
  /** g of all angular layers, or `none` for the plain CNN to compare with; `cosine` by default. */
  operator?: 'cosine' | 'linear' | 'sigmoid' | 'none' | undefined;
  /** Curvature of operator `sigmoid`: a number (0.3 by default), `'learnable'`, or learnable and shared per layer. */
  k?: Curvature | undefined;
  /**
   * How features become a loss: `softmax` (the default; without bias, as the authors have it), options of an
   * {@link AngularHead}, or a head of your own for `features` features.
   */
  head?: 'softmax' | AngularHeadOptions | Head | undefined;
  /** [height, width, channels] of an image; [32, 32, 3] by default. At least 8 × 8. */
  inputShape?: readonly [number, number, number] | undefined;
  /** 10 by default. */
  classes?: number | undefined;
  /** Width of the fully connected layer, which is what the head and `embed` see; 256 by default. */
  features?: number | undefined;
  /** Batch norm after each convolution and after the fully connected layer; true by default. */
  batchNorm?: boolean | undefined;
  /** Where the first weights come from; the shared generator where none is given. */
  generator?: Generator | undefined;
}

/** What {@link sphereCnn} makes; `features.layers` are the single layers. */
export type SphereCnn = Classifier<Sequential>;

const OPERATORS = ['cosine', 'linear', 'sigmoid', 'none'] as const;

/**
 * The plain networks of the paper (Deep Hyperspherical Learning, appendix): three blocks of 3×3 convolutions, each
 * SphereConv, batch norm, ReLU, with a 2×2 max pool after each block; then a fully connected SphereConv of `features`
 * outputs, batch norm and no ReLU; then the head. Without batch norm and with operator `none`, layers have a bias.
 *
 * ```ts
 * const model = models.sphereCnn({ depth: 3, operator: 'sigmoid', k: 0.3, head: { operator: 'linear', margin: 4 } });
 * ```
 *
 * @throws SphereNetError naming the option that is out of range
 */
export function sphereCnn(options: SphereCnnOptions = {}): SphereCnn {
  const {
    depth = 9,
    widths = [64, 96, 128],
    inputShape = [32, 32, 3],
    features = 256,
    batchNorm = true,
  } = options;
  if (depth !== 3 && depth !== 9) fail('sphereCnn', 'depth', '3 or 9', describe(depth));
  const [height, width, channels] = checkTriple('inputShape', inputShape);
  checkTriple('widths', widths);
  checkInteger('sphereCnn', 'features', features, 1);
  const mapH = Math.floor(height / 8);
  const mapW = Math.floor(width / 8);
  if (mapH < 1 || mapW < 1) {
    fail('sphereCnn', 'inputShape', 'at least 8 × 8, as it is halved by three pools', describe(inputShape));
  }
  const make = layerFactory(options, batchNorm);
  const layers: Module[] = [];
  let inChannels = channels;
  for (const outChannels of widths) {
    for (let i = 0; i < depth / 3; ++i) {
      layers.push(make.conv(inChannels, outChannels), ...make.norm(outChannels), new ReLU());
      inChannels = outChannels;
    }
    layers.push(new MaxPool2d(2));
  }
  layers.push(new Flatten(), make.linear(mapH * mapW * inChannels, features), ...make.norm(features));
  const body = new Sequential(...layers);
  try {
    // Last, so that nets of one seed have the same first layers whatever the head.
    return new Classifier(body, makeHead(options, features));
  } catch (error) {
    body.dispose();
    throw error;
  }
}

interface LayerFactory {
  conv(inChannels: number, outChannels: number): Module;
  linear(inFeatures: number, outFeatures: number): Module;
  norm(channels: number): Module[];
}

function layerFactory(
  { operator = 'cosine', k, generator }: SphereCnnOptions,
  batchNorm: boolean,
): LayerFactory {
  checkOneOf('sphereCnn', 'operator', operator, OPERATORS);
  const norm = (channels: number): Module[] => (batchNorm ? [new BatchNorm2d(channels)] : []);
  if (operator === 'none') {
    if (k !== undefined)
      fail('sphereCnn', 'k', "left out, because operator 'none' has no curvature", describe(k));
    const plain = { bias: !batchNorm, generator };
    return {
      conv: (inChannels, outChannels) => new Conv2d(inChannels, outChannels, 3, { padding: 1, ...plain }),
      linear: (inFeatures, outFeatures) => new Linear(inFeatures, outFeatures, plain),
      norm,
    };
  }
  const angular: AngularLayerOptions & { generator: Generator | undefined } = { operator, k, generator };
  return {
    conv: (inChannels, outChannels) =>
      new SphereConv2d(inChannels, outChannels, 3, { padding: 1, ...angular }),
    linear: (inFeatures, outFeatures) => new SphereLinear(inFeatures, outFeatures, angular),
    norm,
  };
}

function makeHead({ head = 'softmax', classes = 10, generator }: SphereCnnOptions, features: number): Head {
  if (head instanceof Head) {
    if (head.features !== features) {
      fail('sphereCnn', 'head', `a head for ${features} features`, `one for ${head.features}`);
    }
    return head;
  }
  if (head === 'softmax') return new SoftmaxHead(features, classes, { bias: false, generator });
  if (typeof head !== 'object' || head === null) {
    fail('sphereCnn', 'head', "'softmax', options of an AngularHead or a Head", describe(head));
  }
  return new AngularHead(features, classes, { generator, ...head });
}

function checkTriple(argument: string, value: readonly number[]): readonly [number, number, number] {
  if (!Array.isArray(value) || value.length !== 3)
    fail('sphereCnn', argument, 'three whole numbers', describe(value));
  for (const item of value) checkInteger('sphereCnn', argument, item, 1);
  return value as unknown as readonly [number, number, number];
}
