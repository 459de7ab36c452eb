import { describe, fail } from '../core/errors';
import { currentOwner, scope } from '../core/scope';
import type { Tensor } from '../core/tensor';
import { applyAt } from './fusion';
import { Module } from './module';

/**
 * Layers one after the other. Paths of parameters begin with the place of the layer: `0.weight`. A SphereConv, the batch
 * norm or SphereNorm behind it and a ReLU behind that run as one op, with the same result.
 *
 * What one layer hands to the next is freed as soon as nothing needs it any more, {@link Tensor.backward} included: a
 * layer of your own that holds on to its input or output gives it to {@link keep}.
 *
 * ```ts
 * new nn.Sequential(new nn.SphereConv2d(3, 64, 3), new nn.BatchNorm2d(64), new nn.ReLU());
 * ```
 */
export class Sequential extends Module implements Iterable<Module> {
  readonly layers: readonly Module[];

  /** @throws SphereNetError where an argument is not a Module */
  constructor(...layers: Module[]) {
    super();
    layers.forEach((layer, i) => {
      if (!(layer instanceof Module)) fail('Sequential', `layers[${i}]`, 'a Module', describe(layer));
    });
    this.layers = layers;
  }

  /** The layer at a place; negative places count from the end. */
  at(place: number): Module | undefined {
    return this.layers.at(place);
  }

  get length(): number {
    return this.layers.length;
  }

  [Symbol.iterator](): Iterator<Module> {
    return this.layers[Symbol.iterator]();
  }

  forward(input: Tensor): Tensor {
    return scope(() => {
      const owner = currentOwner();
      let x = input;
      for (let place = 0; place < this.layers.length;) {
        const { output, next } = applyAt(this.layers, place, x);
        if (x !== output && x.owner === owner) x.dispose();
        x = output;
        place = next;
      }
      return x;
    });
  }

  protected override members(): Iterable<readonly [string, unknown]> {
    const { layers, ...others } = this;
    return [...layers.map((layer, i) => [String(i), layer] as const), ...Object.entries(others)];
  }
}
