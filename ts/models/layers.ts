import { BatchNorm2d, Conv2d, Dropout, Linear, ReLU, SphereConv2d, SphereLinear, SphereNorm } from '../nn';
import type { AngularLayerOptions, Module } from '../nn';
import type { ConvOptions } from '../ops';
import { checkLayerOptions, hasBatchNorm } from './options';
import type { ArchitectureOptions } from './options';

/**
 * Makes the layers of an architecture as its options ask for them, and frees what it made where the architecture cannot
 * be completed.
 */
export class LayerFactory implements Disposable {
  readonly #options: ArchitectureOptions;
  readonly #made: Module[] = [];
  /** Whether there is a ReLU where the architecture has one. */
  readonly relu: boolean;

  /** @throws SphereNetError in the name of `owner` where options do not go together */
  constructor(owner: string, options: ArchitectureOptions) {
    checkLayerOptions(owner, options);
    this.#options = options;
    this.relu = options.relu ?? true;
  }

  /** A convolution and its norm. `ordinary` where it is one even if the operator is angular. */
  conv(
    inChannels: number,
    outChannels: number,
    kernel: number,
    { ordinary = false, ...windows }: ConvOptions & { ordinary?: boolean } = {},
  ): Module[] {
    const angular = ordinary ? null : this.#angular();
    const layer =
      angular === null
        ? new Conv2d(inChannels, outChannels, kernel, { ...windows, ...this.#plain() })
        : new SphereConv2d(inChannels, outChannels, kernel, { ...windows, ...angular });
    return [this.#own(layer), ...this.#norm(outChannels, angular !== null)];
  }

  /** A fully connected layer and its norm. */
  linear(inFeatures: number, outFeatures: number): Module[] {
    const angular = this.#angular();
    const layer =
      angular === null
        ? new Linear(inFeatures, outFeatures, this.#plain())
        : new SphereLinear(inFeatures, outFeatures, angular);
    return [this.#own(layer), ...this.#norm(outFeatures, angular !== null)];
  }

  /** A ReLU, or nothing. */
  activation(): Module[] {
    return this.relu ? [new ReLU()] : [];
  }

  dropout(probability: number): Module {
    return new Dropout(probability, { generator: this.#options.generator });
  }

  [Symbol.dispose](): void {
    for (const layer of this.#made) layer.dispose();
  }

  /** Options of an angular layer; null where the operator is `none`. */
  #angular(): (AngularLayerOptions & Pick<ArchitectureOptions, 'generator'>) | null {
    const { operator, k, angular, generator } = this.#options;
    return operator === 'none' ? null : { ...angular, operator, k, generator };
  }

  #plain(): { bias: boolean } & Pick<ArchitectureOptions, 'generator'> {
    return { bias: !hasBatchNorm(this.#options.norm ?? 'batch'), generator: this.#options.generator };
  }

  #norm(channels: number, isAngular: boolean): Module[] {
    const { norm = 'batch', batchNorm } = this.#options;
    const layers: Module[] = [];
    if (isAngular && norm.startsWith('sphere')) layers.push(this.#own(new SphereNorm(channels)));
    if (hasBatchNorm(norm)) layers.push(this.#own(new BatchNorm2d(channels, batchNorm)));
    return layers;
  }

  #own<M extends Module>(layer: M): M {
    this.#made.push(layer);
    return layer;
  }
}
