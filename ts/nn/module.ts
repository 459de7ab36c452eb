import { checkDevice } from '../core/device';
import type { DeviceName } from '../core/device';
import { Tensor } from '../core/tensor';
import { isBuffer, isParameter } from './parameter';
import { assignState, readTensor, type StateDict } from './state';

/**
 * Base of every layer and model. A subclass makes its parameters with `parameter(tensor, role)`, keeps them and
 * its child modules as ordinary properties, and implements `forward`:
 *
 * ```ts
 * class Scale extends nn.Module {
 *   readonly factor: Tensor;
 *   constructor(channels: number) {
 *     super();
 *     this.factor = nn.parameter(ones([channels]), 'norm');
 *   }
 *   forward(x: Tensor): Tensor {
 *     return ops.mul(x, this.factor);
 *   }
 * }
 * ```
 *
 * Parameters, buffers and child modules are found by walking the module's own enumerable properties and arrays
 * in them; a property's name is its part of the path. What is held in a `#private` field is not found.
 */
export abstract class Module implements Disposable {
  /** True while training: batch norm uses the statistics of the batch, dropout drops. Set by train() and eval(). */
  training = true;

  abstract forward(input: Tensor): Tensor;

  /** All parameters, each once: in the order of their definition, a module's own before those of its children. */
  parameters(): Tensor[] {
    return [...this.namedParameters().values()];
  }

  /** Parameters by path, such as `0.weight`. A parameter used in two places has the path of the first. */
  namedParameters(): Map<string, Tensor> {
    return this.collect(isParameter);
  }

  /** Buffers by path: state that is saved but not trained, such as `1.runningMean`. */
  namedBuffers(): Map<string, Tensor> {
    return this.collect(isBuffer);
  }

  /** This module and all modules below it, each once, parents before children. */
  modules(): Module[] {
    return [...this.walk()].map(([, module]) => module);
  }

  /** The number of trainable values. */
  get parameterCount(): number {
    return this.parameters().reduce((sum, tensor) => sum + tensor.size, 0);
  }

  /** Switches this module and all below it to training mode, or out of it. */
  train(training = true): this {
    for (const module of this.modules()) module.training = training;
    return this;
  }

  /** Switches this module and all below it to inference mode. */
  eval(): this {
    return this.train(false);
  }

  /** Frees the gradients of all parameters. */
  zeroGrad(): void {
    for (const tensor of this.parameters()) tensor.zeroGrad();
  }

  /**
   * Moves parameters, their gradients and buffers to a device, in place. An optimiser's state stays where it is: make
   * the optimiser afterwards. A module made after `device.use(name)` is there from the start.
   */
  to(device: DeviceName): this {
    checkDevice(`${this.constructor.name}.to`, 'device', device);
    for (const tensor of this.state().values()) tensor.moveTo(device);
    return this;
  }

  /** Copies parameters and buffers to JavaScript, by path; does not block. */
  async stateDict(): Promise<StateDict> {
    const entries = [...this.state()].map(
      async ([path, tensor]) => [path, await readTensor(tensor)] as const,
    );
    return Object.fromEntries(await Promise.all(entries));
  }

  /**
   * Overwrites parameters and buffers with what `stateDict` returned. Nothing is written unless all fits.
   *
   * @throws SphereNetError listing every missing and unexpected key and every wrong shape or dtype
   */
  loadStateDict(state: StateDict): void {
    assignState(this.constructor.name, this.state(), state);
  }

  /** Frees parameters, their gradients and buffers of this module and all below it. Safe to call twice. */
  dispose(): void {
    for (const tensor of this.state().values()) tensor.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** What belongs to this module, by name; other values than tensors, modules and arrays of them are ignored. */
  protected members(): Iterable<readonly [string, unknown]> {
    return Object.entries(this);
  }

  private state(): Map<string, Tensor> {
    return this.collect((tensor) => isParameter(tensor) || isBuffer(tensor));
  }

  private collect(wanted: (tensor: Tensor) => boolean): Map<string, Tensor> {
    const found = new Map<string, Tensor>();
    const seen = new Set<Tensor>();
    for (const [prefix, module] of this.walk()) {
      for (const [name, value] of leaves(module.members())) {
        if (!(value instanceof Tensor) || seen.has(value) || !wanted(value)) continue;
        seen.add(value);
        found.set(prefix + name, value);
      }
    }
    return found;
  }

  private *walk(prefix = '', seen = new Set<Module>()): Generator<[string, Module]> {
    if (seen.has(this)) return;
    seen.add(this);
    yield [prefix, this];
    for (const [name, value] of leaves(this.members())) {
      if (value instanceof Module) yield* value.walk(`${prefix}${name}.`, seen);
    }
  }
}

/** Members with arrays opened: the third element of `blocks` is `blocks.2`. */
function* leaves(members: Iterable<readonly [string, unknown]>): Generator<[string, unknown]> {
  for (const [name, value] of members) {
    if (Array.isArray(value)) yield* leaves(value.map((item, i) => [`${name}.${i}`, item] as const));
    else yield [name, value];
  }
}
