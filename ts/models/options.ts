// What all architectures can be asked for, checked.
import { checkInteger, checkNumber, checkOneOf, describe, fail } from '../core/errors';
import type { Generator } from '../core/random';
import { AngularHead, Head, SoftmaxHead } from '../nn';
import { angularFunctionOf } from '../ops/angular_options';
import type { AngularHeadOptions, AngularLayerOptions, BatchNorm2dOptions } from '../nn';

/**
 * What follows each layer before its ReLU:
 *
 * - `batch`: batch norm. Behind angular layers this is the paper's "SphereNorm with BatchNorm", as a SphereConv is a
 *   normalisation itself
 * - `none`: nothing. Behind angular layers this is the paper's SphereNorm; ordinary layers have a bias then
 * - `sphere`: the rescaled SphereNorm, a learnt factor and shift per channel (see {@link nn.SphereNorm}); angular
 *   layers only
 * - `sphere+batch`: the rescaling and then batch norm. Batch norm takes factor and shift out again, up to the factor's
 *   sign and its own epsilon, so this can learn what `batch` can; it is there to compare
 */
export type LayerNorm = 'batch' | 'sphere' | 'sphere+batch' | 'none';

/** What every architecture of `models` takes. */
export interface ArchitectureOptions {
  /** Operator of all angular layers, or `none` for the ordinary network to compare with; `cosine` by default. */
  operator?: AngularLayerOptions['operator'] | 'none';
  /**
   * Curvature of operator `sigmoid`: a number (0.3 by default), `'learnable'`, or learnable and shared per layer; what
   * an angular layer takes. Left out with operator `none`.
   */
  k?: AngularLayerOptions['k'];
  /** What else angular layers take, such as `kInit` and `epsilon`. Left out with operator `none`. */
  angular?: Omit<AngularLayerOptions, 'operator' | 'k'> | undefined;
  /** What follows each layer before its ReLU; `batch` by default. */
  norm?: LayerNorm | undefined;
  /** Momentum and epsilon of the batch norms. Left out where `norm` has none. */
  batchNorm?: BatchNorm2dOptions | undefined;
  /** ReLU where the architecture has one (true, the default) or nowhere, which is an experiment of the paper. */
  relu?: boolean | undefined;
  /**
   * How features become a loss: `softmax` (the default), options of an {@link nn.AngularHead}, or a head of your own for
   * as many features as the architecture has.
   */
  head?: 'softmax' | AngularHeadOptions | Head | undefined;
  /** [height, width, channels] of an image. */
  inputShape?: readonly [number, number, number] | undefined;
  /** At least 2. */
  classes?: number | undefined;
  /** Where the first weights and masks of dropout come from; the shared generator where none is given. */
  generator?: Generator | undefined;
}

/** What an architecture fills in where the options say nothing. */
export interface ArchitectureDefaults {
  readonly inputShape: readonly [number, number, number];
  readonly classes: number;
  /** Whether head `softmax` has a bias. */
  readonly headBias: boolean;
}

/** The architectures of ImageNet have their usual classifier. */
export const IMAGENET: ArchitectureDefaults = { inputShape: [224, 224, 3], classes: 1000, headBias: true };
/** The authors' classifier has no bias. */
export const CIFAR: ArchitectureDefaults = { inputShape: [32, 32, 3], classes: 10, headBias: false };

const NORMS = ['batch', 'sphere', 'sphere+batch', 'none'] as const;

/** Checks what is common to all layers before the first is made. */
export function checkLayerOptions(owner: string, options: ArchitectureOptions): void {
  const { operator = 'cosine', norm = 'batch', batchNorm, relu } = options;
  checkOneOf(owner, 'norm', norm, NORMS);
  if (operator === 'none') {
    for (const argument of ['k', 'angular'] as const) {
      if (options[argument] === undefined) continue;
      fail(owner, argument, "left out, because operator 'none' has no angles", describe(options[argument]));
    }
    if (norm.startsWith('sphere')) {
      fail(owner, 'norm', "'batch' or 'none', as operator 'none' has no angles to rescale", describe(norm));
    }
  } else {
    angularFunctionOf(owner, operator, ", or 'none' for the ordinary network");
  }
  if (batchNorm !== undefined) {
    if (typeof batchNorm !== 'object' || batchNorm === null) {
      fail(
        owner,
        'batchNorm',
        'options of a BatchNorm2d (norm says whether there is one)',
        describe(batchNorm),
      );
    }
    if (!hasBatchNorm(norm)) fail(owner, 'batchNorm', `left out with norm '${norm}'`, describe(batchNorm));
  }
  checkBoolean(owner, 'relu', relu);
}

export function hasBatchNorm(norm: LayerNorm): boolean {
  return norm === 'batch' || norm === 'sphere+batch';
}

/** The head that the options ask for, behind `features` features. */
export function makeHead(
  owner: string,
  { head = 'softmax', classes, generator }: ArchitectureOptions,
  features: number,
  defaults: ArchitectureDefaults,
): Head {
  if (head instanceof Head) {
    if (head.features !== features) {
      fail(owner, 'head', `a head for ${features} features`, `one for ${head.features}`);
    }
    return head;
  }
  const outputs = classes ?? defaults.classes;
  if (head === 'softmax') return new SoftmaxHead(features, outputs, { bias: defaults.headBias, generator });
  if (typeof head !== 'object' || head === null) {
    fail(owner, 'head', "'softmax', options of an AngularHead or a Head", describe(head));
  }
  return new AngularHead(features, outputs, { generator, ...head });
}

/** Checks a list of `count` whole numbers of at least 1. */
export function checkCounts(owner: string, argument: string, value: unknown, count: number): void {
  if (!Array.isArray(value) || value.length !== count) {
    fail(owner, argument, `${count} whole numbers`, describe(value));
  }
  for (const item of value as unknown[]) checkInteger(owner, argument, item, 1);
}

/** Checks that an image keeps at least one pixel after being halved `halvings` times, each time rounded down. */
export function checkHalvings(owner: string, inputShape: readonly number[], halvings: number): void {
  const side = 2 ** halvings;
  if (inputShape.slice(0, 2).some((extent) => extent < side)) {
    const expected = `at least ${side} × ${side}, as it is halved by ${halvings} pools`;
    fail(owner, 'inputShape', expected, describe(inputShape));
  }
}

/** Checks a factor by which widths are multiplied; answers what multiplies them. */
export function widthScale(owner: string, factor: number): (channels: number) => number {
  checkNumber(owner, 'widthFactor', factor, 'a number above 0', (value) => value > 0);
  return (channels) => Math.max(1, Math.round(channels * factor));
}

function checkBoolean(owner: string, argument: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean') {
    fail(owner, argument, 'true or false', describe(value));
  }
}
