import { isFullFloat } from '../core/dtype';
import { describe, fail } from '../core/errors';
import { keep } from '../core/scope';
import type { Tensor } from '../core/tensor';

/**
 * What a parameter is to its layer. Optimisers decide by it what weight decay touches:
 *
 * - `kernel`: the weight of an ordinary convolution or linear layer
 * - `sphereKernel`: a weight that enters only through its direction (SphereConv2d, SphereLinear, AngularHead),
 *   so that decay changes nothing but the effective learning rate
 * - `bias`
 * - `norm`: the scale or shift of a normalisation layer
 * - `curvature`: the raw k of a learnable sigmoid operator
 * - `radius`: the raw radius of a learnable decoupled operator
 */
export type ParameterRole = 'kernel' | 'sphereKernel' | 'bias' | 'norm' | 'curvature' | 'radius';

const roles = new WeakMap<Tensor, ParameterRole>();
const buffers = new WeakSet<Tensor>();

/**
 * Turns a tensor into a parameter: it gets `requiresGrad`, a role, and leaves the scope it was made in, because
 * it belongs to its module from now on. A parameter is an ordinary Tensor, so ops and optimisers take it as is.
 *
 * @throws where the tensor is not float32 or float64: 16 bits are for activations, updates would be lost in them
 */
export function parameter(tensor: Tensor, role: ParameterRole = 'kernel'): Tensor {
  if (!isFullFloat(tensor.dtype)) {
    fail('parameter', 'tensor', 'a float32 or float64 tensor', describe(tensor));
  }
  tensor.requiresGrad = true;
  roles.set(tensor, role);
  return keep(tensor);
}

/**
 * Marks a tensor as state that a module owns, saves and frees but that no optimiser trains, such as the running
 * statistics of a batch norm. It leaves the scope it was made in.
 */
export function buffer(tensor: Tensor): Tensor {
  buffers.add(tensor);
  return keep(tensor);
}

/** The role given by `parameter`; `kernel` for any other tensor. */
export function roleOf(tensor: Tensor): ParameterRole {
  return roles.get(tensor) ?? 'kernel';
}

/** True for what `parameter` marked, also while it is frozen, and for any leaf that requires a gradient. */
export function isParameter(tensor: Tensor): boolean {
  return roles.has(tensor) || (tensor.requiresGrad && tensor.node === null && !buffers.has(tensor));
}

/** True for what `buffer` marked. */
export function isBuffer(tensor: Tensor): boolean {
  return buffers.has(tensor);
}
