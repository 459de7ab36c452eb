import { AsyncLocalStorage } from 'node:async_hooks';

/** What a scope can own; {@link Tensor} is the one implementation. */
export interface Scoped {
  /** The scope that will dispose it, if any. Set by this module only. */
  owner: ScopeOwner | null;
  /** Which of the owner's it is. Set by this module only. */
  place: number;
  dispose(): void;
}

/** The tensors that live in one scope. */
export class ScopeOwner {
  /** Each knows its place: a list that is left from anywhere, and costs less than a Set. */
  readonly #tensors: Scoped[] = [];

  add(tensor: Scoped): void {
    tensor.owner = this;
    tensor.place = this.#tensors.push(tensor) - 1;
  }

  /** One of its own. */
  remove(tensor: Scoped): void {
    const last = this.#tensors.pop() as Scoped;
    if (last !== tensor) {
      this.#tensors[tensor.place] = last;
      last.place = tensor.place;
    }
    tensor.owner = null;
  }

  /** Hands what is reachable from `result` to `parent` and disposes the rest. */
  close(parent: ScopeOwner | null, result: unknown): void {
    for (const tensor of scopedWithin(result)) {
      if (tensor.owner !== this) continue;
      this.remove(tensor);
      parent?.add(tensor);
    }
    for (const tensor of this.#tensors) {
      tensor.owner = null; // It need not leave a list that is done for.
      tensor.dispose();
    }
    this.#tensors.length = 0;
  }
}

/** What holds for code that runs now, in this asynchronous context. */
interface Frame {
  readonly owner: ScopeOwner | null;
  readonly gradEnabled: boolean;
}

const ROOT: Frame = { owner: null, gradEnabled: true };
const frames = new AsyncLocalStorage<Frame>();

function frame(): Frame {
  return frames.getStore() ?? ROOT;
}

/** The innermost scope, which owns what is created now. */
export function currentOwner(): ScopeOwner | null {
  return frame().owner;
}

/**
 * Runs `fn` and then disposes every tensor created inside, except those in its result (a tensor, or tensors within
 * arrays, plain objects, Maps and Sets) and those given to {@link keep}. The result's tensors pass to the scope around.
 *
 * `fn` may be asynchronous: the scope then ends when its promise settles. Scopes of concurrent asynchronous
 * functions do not mix. If `fn` throws or rejects, everything created inside is disposed.
 */
export function scope<T>(fn: () => T): T {
  const { owner: parent, gradEnabled } = frame();
  const owner = new ScopeOwner();
  return settle(
    () => frames.run({ owner, gradEnabled }, fn),
    (result) => {
      owner.close(parent, result);
    },
  );
}

/** Takes a tensor out of its scope: it lives until dispose() or until nobody refers to it. Returns it. */
export function keep<T extends Scoped>(tensor: T): T {
  tensor.owner?.remove(tensor);
  return tensor;
}

/** Runs `fn`, which may be asynchronous, without recording for backward(). */
export function noGrad<T>(fn: () => T): T {
  return frames.run({ owner: frame().owner, gradEnabled: false }, fn);
}

/** Runs `fn` with recording, also inside {@link noGrad}. */
export function enableGrad<T>(fn: () => T): T {
  return frames.run({ owner: frame().owner, gradEnabled: true }, fn);
}

/** Whether ops record for backward() now. */
export function isGradEnabled(): boolean {
  return frame().gradEnabled;
}

/** Calls `end` once with fn's result, also when it is a promise; with undefined when it fails. */
function settle<T>(fn: () => T, end: (result: unknown) => void): T {
  let result: T;
  try {
    result = fn();
  } catch (error) {
    end(undefined);
    throw error;
  }
  if (result instanceof Promise) {
    const settled: Promise<unknown> = result.then(
      (value: unknown) => {
        end(value);
        return value;
      },
      (error: unknown) => {
        end(undefined);
        throw error;
      },
    );
    return settled as T;
  }
  end(result);
  return result;
}

function isScoped(value: object): value is Scoped {
  return 'owner' in value && 'dispose' in value;
}

function* scopedWithin(value: unknown, seen = new Set<object>()): Generator<Scoped> {
  if (typeof value !== 'object' || value === null || seen.has(value)) return;
  seen.add(value);
  if (isScoped(value)) {
    yield value;
  } else if (Array.isArray(value) || value instanceof Set) {
    for (const item of value) yield* scopedWithin(item, seen);
  } else if (value instanceof Map) {
    for (const item of value.values()) yield* scopedWithin(item, seen);
  } else if (isPlainObject(value)) {
    for (const item of Object.values(value)) yield* scopedWithin(item, seen);
  }
}

function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}
