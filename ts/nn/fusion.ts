// Neighbouring layers that one op computes at once.
import type { Tensor } from '../core/tensor';
import { ReLU } from './activations';
import { BatchNorm2d } from './batch_norm2d';
import type { Module } from './module';
import { SphereConv2d } from './sphere_conv2d';
import { SphereLinear } from './sphere_linear';

/** A subclass may do something else in its forward(), so only the class itself counts. */
function isExactly<M extends Module>(
  layer: Module | undefined,
  type: abstract new (...args: never[]) => M,
): layer is M {
  return layer?.constructor === type;
}

/**
 * Applies the layer at `place` and those behind it that the same op can do: in training a SphereConv with its batch
 * norm, and a ReLU behind a batch norm. Results are those of one layer after the other, with fewer passes over memory.
 *
 * @returns the output, and the place of the first layer that is not in it
 */
export function applyAt(
  layers: readonly Module[],
  place: number,
  input: Tensor,
): { output: Tensor; next: number } {
  const first = layers[place] as Module;
  const isAngular = isExactly(first, SphereConv2d) || isExactly(first, SphereLinear);
  const normPlace = isAngular ? place + 1 : place;
  const norm = layers[normPlace];
  if (!isExactly(norm, BatchNorm2d) || !norm.training)
    return { output: first.forward(input), next: place + 1 };
  const relu = isExactly(layers[normPlace + 1], ReLU);
  const output = isAngular ? first.forwardNormed(input, norm, relu) : norm.forwardRelu(input, relu);
  return { output, next: normPlace + (relu ? 2 : 1) };
}
