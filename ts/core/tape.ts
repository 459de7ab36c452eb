import { BinaryOp } from './binding';
import { fail, SphereNetError } from './errors';
import { formatShape, sameShape } from './shape';
import { isGradEnabled, keep, noGrad, scope } from './scope';
import { run } from './run';
import { allocateLike, Tensor } from './tensor';
import type { Recorded } from './tensor';

/**
 * The gradient of one op: dL/d(output) to dL/d(input) for each input, null where `needs` says that nobody asks.
 * Runs under noGrad() in a scope of its own. It may return `dy` itself.
 */
export type GradientRule = (
  dy: Tensor,
  saved: readonly Tensor[],
  needs: readonly boolean[],
) => readonly (Tensor | null)[];

/** Where a gradient goes: to the op that made an input, or into a leaf's `grad`. */
type Edge = Node | Tensor | null;

interface Saved {
  tensor: Tensor;
  version: number;
}

/**
 * One recorded op. It is counted by its output and by the ops that use that: when the last of them is gone, what it
 * saved is freed without waiting for the garbage collector.
 */
export class Node implements Recorded {
  #holders = 1;
  #edges: readonly Edge[] | null;
  #saved: readonly Saved[];

  constructor(
    readonly name: string,
    inputs: readonly Tensor[],
    saved: readonly Tensor[],
    private readonly rule: GradientRule,
  ) {
    this.#edges = inputs.map((input) => {
      if (input.node instanceof Node) return input.node.retain();
      return input.requiresGrad ? input : null;
    });
    this.#saved = saved.map((tensor) => ({ tensor: alias(tensor), version: tensor.handle.version }));
  }

  get edges(): readonly Edge[] {
    if (!this.#edges) {
      throw new SphereNetError(
        'SPHERENET_AUTOGRAD',
        `backward: the graph through ${this.name} was already freed by an earlier backward(); run the forward again`,
      );
    }
    return this.#edges;
  }

  retain(): this {
    ++this.#holders;
    return this;
  }

  release(): void {
    // A loop instead of recursion: chains of ops are longer than the stack.
    const gone: Node[] = [this];
    for (let node = gone.pop(); node; node = gone.pop()) {
      if (--node.#holders === 0) gone.push(...node.#drop());
    }
  }

  backward(root: Tensor, gradient: Tensor | undefined): void {
    checkGradient(root, gradient);
    scope(() => {
      noGrad(() => {
        propagate(this, gradient ? alias(gradient) : onesLike(root));
      });
    });
  }

  /** The gradients for the inputs. */
  apply(dy: Tensor): readonly (Tensor | null)[] {
    const needs = this.edges.map((edge) => edge !== null);
    for (const { tensor, version } of this.#saved) {
      if (tensor.handle.version === version) continue;
      throw new SphereNetError(
        'SPHERENET_AUTOGRAD',
        `backward: ${tensor.describe()}, saved by ${this.name}, was overwritten since the forward`,
      );
    }
    const saved = this.#saved.map(({ tensor }) => tensor);
    return scope(() => this.rule(dy, saved, needs));
  }

  /** Frees what it saved and lets its inputs go. */
  free(): void {
    for (const node of this.#drop()) node.release();
  }

  #drop(): Node[] {
    const inputs = (this.#edges ?? []).filter((edge): edge is Node => edge instanceof Node);
    for (const { tensor } of this.#saved) tensor.dispose();
    this.#saved = [];
    this.#edges = null;
    return inputs;
  }
}

/** Another reference to the same memory, without history and outside every scope. */
function alias(tensor: Tensor): Tensor {
  return new Tensor(tensor.handle.retain(), false);
}

/** Whether an op of these inputs is recorded: gradients are asked for. */
export function isRecorded(inputs: readonly unknown[]): boolean {
  return isGradEnabled() && inputs.some((input) => input instanceof Tensor && input.requiresGrad);
}

/**
 * Makes `output` the recorded result of an op where gradients are asked for; returns it.
 *
 * @param saved what the rule needs of inputs and outputs; kept alive until backward has used it.
 */
export function record(
  name: string,
  output: Tensor,
  inputs: readonly Tensor[],
  saved: readonly Tensor[],
  rule: GradientRule,
): Tensor {
  if (isRecorded(inputs)) {
    output.node = new Node(name, inputs, saved, rule);
  }
  return output;
}

function checkGradient(root: Tensor, gradient: Tensor | undefined): void {
  if (!gradient) {
    if (root.size !== 1) {
      fail('backward', 'gradient', `given for a tensor of shape ${formatShape(root.shape)}`, 'nothing');
    }
  } else if (
    !sameShape(gradient.shape, root.shape) ||
    gradient.dtype !== root.dtype ||
    gradient.device !== root.device
  ) {
    fail('backward', 'gradient', root.describe(), gradient.describe());
  }
}

/** Consumes `seed`, the gradient of root's output. */
function propagate(root: Node, seed: Tensor): void {
  // Held until the end, because a node lets its inputs go as soon as it is done, before their turn.
  const order: Node[] = [];
  const gradients = new Map<Node, Tensor>([[root, seed]]);
  try {
    for (const node of consumersFirst(root)) order.push(node.retain());
    for (const node of order) {
      const dy = gradients.get(node);
      if (!dy) continue;
      const { edges } = node;
      const results = node.apply(dy);
      results.forEach((result, i) => {
        const edge = edges[i];
        if (!result || !edge) return;
        if (edge instanceof Tensor) {
          addToLeaf(edge, result);
        } else {
          gradients.set(edge, sumOf(gradients.get(edge) ?? null, result));
        }
      });
      for (const result of results) if (result !== dy) result?.dispose();
      gradients.delete(node);
      dy.dispose();
      node.free();
    }
  } finally {
    for (const left of gradients.values()) left.dispose();
    for (const node of order) node.release();
  }
}

/** Every node below root, each before the ones that its inputs came from. */
function consumersFirst(root: Node): Node[] {
  const finished: Node[] = [];
  const seen = new Set<Node>([root]);
  const stack: { node: Node; next: number }[] = [{ node: root, next: 0 }];
  for (let top = stack.at(-1); top; top = stack.at(-1)) {
    const edge = top.node.edges[top.next++];
    if (edge === undefined) {
      finished.push(top.node);
      stack.pop();
    } else if (edge instanceof Node && !seen.has(edge)) {
      seen.add(edge);
      stack.push({ node: edge, next: 0 });
    }
  }
  return finished.reverse();
}

function onesLike(like: Tensor): Tensor {
  const ones = keep(allocateLike(like));
  run('fill', 1, ones);
  return ones;
}

/** sum + term, in sum's memory where nobody else sees it. Outside scopes; consumes `sum`. */
function sumOf(sum: Tensor | null, term: Tensor): Tensor {
  if (!sum) return alias(term);
  const into = sum.handle.isExclusive ? sum : keep(allocateLike(sum));
  run('binary', BinaryOp.Add, sum, term, into);
  into.handle.markWritten();
  if (into !== sum) sum.dispose();
  return into;
}

function addToLeaf(leaf: Tensor, gradient: Tensor): void {
  if (leaf.isDisposed) return;
  const { grad } = leaf;
  if (grad?.handle.isExclusive) {
    sumOf(grad, gradient);
  } else {
    leaf.grad = sumOf(grad && alias(grad), gradient);
  }
}
