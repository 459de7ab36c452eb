import { zeros } from '../core/create';
import { isFullFloat } from '../core/dtype';
import { describe, fail, SphereNetError } from '../core/errors';
import { keep, noGrad } from '../core/scope';
import { Tensor } from '../core/tensor';
import { roleOf } from '../nn/parameter';
import { mismatch, readTensor } from '../nn/state';
import type { TensorData } from '../nn/state';

/** Options that every optimiser has, for all parameters or for one group. */
export interface CommonOptions {
  /** Learning rate, at least 0. */
  lr?: number | undefined;
  /** Coefficient of weight decay, at least 0. */
  weightDecay?: number | undefined;
  /**
   * Whether weight decay also touches sphere kernels, curvatures and radii; false by default. A sphere kernel enters only
   * through its direction, so decay would do nothing but raise the effective learning rate.
   */
  decaySpheres?: boolean | undefined;
}

/** Parameters with options of their own; what a group leaves out it takes from the optimiser's options. */
export type ParameterGroup<Options> = Options & { params: Iterable<Tensor> };

/** What an optimiser is made for: parameters, or groups of them. */
export type Trainable<Options> = Iterable<Tensor> | readonly ParameterGroup<Options>[];

/** A group as the optimiser holds it: all options present. `lr` and the others may be changed between steps. */
export type Group<Hyper> = Hyper & { readonly params: readonly Tensor[] };

/** Hyperparameters that every optimiser's groups have. */
export interface CommonHyper {
  lr: number;
  weightDecay: number;
  decaySpheres: boolean;
}

/** Parameters of one group that one native call updates. */
export interface Bucket {
  params: Tensor[];
  grads: Tensor[];
  /** State tensors by name, each list as long as `params`. */
  slots: Record<string, Tensor[]>;
  /** Coefficient of weight decay; 0 for what is spared. */
  weightDecay: number;
  /** Which step this is for these parameters, counted from 1. */
  step: number;
}

/** What `Optimizer.stateDict` returns: plain data. Groups and parameters are in the order of construction. */
export interface OptimizerState {
  groups: Record<string, unknown>[];
  parameters: { steps: number; slots: Record<string, TensorData> }[];
}

interface ParameterState {
  steps: number;
  readonly slots: Record<string, Tensor>;
}

export interface StepOptions {
  /** Leaves the gradients, so that the next backward() adds to them; false by default. */
  keepGradients?: boolean;
}

/**
 * Base of the optimisers. `step()` updates every parameter that has a gradient and **frees the gradients**, so that
 * a training loop needs no zeroGrad(); several backward() before one step() accumulate, as ever.
 *
 * ```ts
 * const opt = new optim.SGD(net.parameters(), { lr: 0.1, momentum: 0.9, weightDecay: 5e-4 });
 * loss.backward();
 * opt.step();
 * ```
 */
export abstract class Optimizer<Hyper extends CommonHyper = CommonHyper> implements Disposable {
  /** Hyperparameters and parameters; the order is that of construction. */
  readonly groups: readonly Group<Hyper>[];
  private readonly states = new Map<Tensor, ParameterState>();

  /**
   * @param owner name for error messages
   * @param complete fills in and checks one group's options
   */
  protected constructor(
    private readonly owner: string,
    trainable: Trainable<object>,
    private readonly complete: (own: object) => Hyper,
  ) {
    this.groups = toGroups(owner, trainable).map(({ params, own }) => ({ ...complete(own), params }));
  }

  /** Names of the state tensors that parameters of a group have, such as `velocity`. */
  protected abstract slotNames(group: Group<Hyper>): readonly string[];

  /** Updates the parameters of a bucket in place. */
  protected abstract update(group: Group<Hyper>, bucket: Bucket): void;

  /** Updates every parameter that has a gradient; the others, and their state, stay as they are. */
  step(options: StepOptions = {}): void {
    noGrad(() => {
      for (const group of this.groups) {
        for (const bucket of this.buckets(group)) this.update(group, bucket);
      }
    });
    if (options.keepGradients !== true) this.zeroGrad();
  }

  /** Frees all gradients. */
  zeroGrad(): void {
    for (const { params } of this.groups) {
      for (const param of params) param.zeroGrad();
    }
  }

  /** The learning rate of the first group. Setting it sets that of every group. */
  get lr(): number {
    const [first] = this.groups;
    return first === undefined ? 0 : first.lr;
  }

  set lr(lr: number) {
    checkRate(this.owner, 'lr', lr);
    for (const group of this.groups) group.lr = lr;
  }

  /** Copies hyperparameters and state tensors to JavaScript; does not block. */
  async stateDict(): Promise<OptimizerState> {
    const groups = this.groups.map(({ params: _params, ...hyper }) => hyper);
    const params = this.groups.flatMap((group) => group.params);
    const parameters = params.map(async (param) => {
      const { steps, slots } = this.stateOf(param);
      const read = Object.entries(slots).map(async ([name, slot]) => [name, await readTensor(slot)] as const);
      return { steps, slots: Object.fromEntries(await Promise.all(read)) };
    });
    return { groups, parameters: await Promise.all(parameters) };
  }

  /**
   * Continues where `stateDict` was taken, with the hyperparameters of that time. The optimiser must have been made
   * for the same parameters in the same groups. Nothing is written unless all fits.
   *
   * @throws SphereNetError saying what does not fit
   */
  loadStateDict(state: OptimizerState): void {
    const params = this.groups.flatMap((group) => group.params);
    this.checkCount('groups', state.groups.length, this.groups.length);
    this.checkCount('parameters', state.parameters.length, params.length);
    const hyper = state.groups.map((saved) => this.complete(saved));
    const names = this.groups.flatMap((group, i) => {
      return group.params.map(() => this.slotNames({ ...group, ...hyper[i] }));
    });
    state.parameters.forEach(({ slots }, i) => {
      for (const [name, data] of Object.entries(slots)) {
        const known = names[i]?.includes(name) ?? false;
        const problem = known ? mismatch(params[i] as Tensor, data) : 'unexpected';
        if (problem !== null) this.reject(`${name} of parameter ${i}: ${problem}`);
      }
    });
    this.dispose();
    this.groups.forEach((group, i) => Object.assign(group, hyper[i]));
    state.parameters.forEach(({ steps, slots }, i) => {
      const own = this.stateOf(params[i] as Tensor);
      own.steps = steps;
      for (const [name, { data }] of Object.entries(slots)) {
        const slot = newSlot(params[i] as Tensor);
        slot.assign(data);
        own.slots[name] = slot;
      }
    });
  }

  /** Frees the state tensors, not the parameters. A later step starts afresh. */
  dispose(): void {
    for (const { slots } of this.states.values()) {
      for (const slot of Object.values(slots)) slot.dispose();
    }
    this.states.clear();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** One bucket for each combination of what a native call takes only one of. */
  private buckets(group: Group<Hyper>): Iterable<Bucket> {
    const buckets = new Map<string, Bucket>();
    const names = this.slotNames(group);
    for (const param of group.params) {
      const { grad } = param;
      if (grad === null) continue;
      const state = this.stateOf(param);
      state.steps += 1;
      const weightDecay = group.decaySpheres || !isSphere(param) ? group.weightDecay : 0;
      const key = [param.dtype, param.device, weightDecay, state.steps].join();
      let bucket = buckets.get(key);
      if (bucket === undefined) {
        const slots = Object.fromEntries(names.map((name) => [name, []]));
        bucket = { params: [], grads: [], slots, weightDecay, step: state.steps };
        buckets.set(key, bucket);
      }
      bucket.params.push(param);
      bucket.grads.push(grad);
      for (const name of names) bucket.slots[name]?.push((state.slots[name] ??= newSlot(param)));
    }
    return buckets.values();
  }

  private stateOf(param: Tensor): ParameterState {
    let state = this.states.get(param);
    if (state === undefined) {
      state = { steps: 0, slots: {} };
      this.states.set(param, state);
    }
    return state;
  }

  private checkCount(what: string, got: number, expected: number): void {
    if (got !== expected) this.reject(`expected ${expected} ${what}, got ${got}`);
  }

  private reject(problem: string): never {
    throw new SphereNetError(
      'SPHERENET_ARGUMENT',
      `${this.owner}.loadStateDict: the state does not fit: ${problem}`,
    );
  }
}

/** Checks a learning rate, a decay or the like. */
export function checkRate(owner: string, argument: string, value: number): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) {
    fail(owner, argument, 'a finite number of at least 0', describe(value));
  }
  return value;
}

function newSlot(param: Tensor): Tensor {
  return keep(zeros(param.shape, { dtype: param.dtype, device: param.device }));
}

function isSphere(param: Tensor): boolean {
  const role = roleOf(param);
  return role === 'sphereKernel' || role === 'curvature' || role === 'radius';
}

function toGroups(owner: string, trainable: Trainable<object>): { params: Tensor[]; own: object }[] {
  if (!isIterable(trainable)) {
    fail(owner, 'params', 'parameters or an array of { params, ... }', describe(trainable));
  }
  const items = [...trainable];
  const areGroups = items.length > 0 && items.every((item) => !(item instanceof Tensor) && hasParams(item));
  const groups = areGroups
    ? (items as ParameterGroup<object>[]).map(({ params, ...own }) => ({
        params: [...params],
        own: given(own),
      }))
    : [{ params: items as Tensor[], own: {} }];
  const seen = new Map<Tensor, number>();
  return groups.map(({ params, own }, place) => {
    const name = areGroups ? `groups[${place}].params` : 'params';
    if (params.length === 0) fail(owner, name, 'at least one parameter', 'none');
    for (const param of params) {
      if (!(param instanceof Tensor) || param.isDisposed) {
        fail(owner, name, 'live tensors only', param instanceof Tensor ? param.toString() : describe(param));
      }
      if (!isFullFloat(param.dtype)) {
        fail(owner, name, 'float32 or float64 tensors only', describe(param));
      }
      if ((seen.get(param) ?? place) !== place) {
        fail(
          owner,
          name,
          'parameters of no other group',
          `${describe(param)} of groups[${seen.get(param)}] too`,
        );
      }
      seen.set(param, place);
    }
    return { params: [...new Set(params)], own };
  });
}

/** Without the options that are given as undefined, so that they do not hide the optimiser's. */
function given(own: object): object {
  return Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined));
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value;
}

function hasParams(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'params' in value && isIterable(value.params);
}
