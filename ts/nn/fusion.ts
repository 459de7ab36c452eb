// Neighbouring layers that one op computes at once.
import type { Tensor } from '../core/tensor';
import { ReLU } from './activations';
import { AngularLayer } from './angular_layer';
import { BatchNorm2d } from './batch_norm2d';
import type { Module } from './module';
import { SphereNorm } from './sphere_norm';

/** A subclass may do something else in its forward(), so only the class itself counts. */
function isExactly<M extends Module>(
  layer: Module | undefined,
  type: abstract new (...args: never[]) => M,
): layer is M {
  return layer?.constructor === type;
}

/**
 * Applies the layer at `place` and those behind it that the same op can do: a SphereConv with its batch norm or SphereNorm,
 * and a ReLU behind one of these. Results are those of one layer after the other, with fewer passes over memory.
 *
 * @returns the output, and the place of the first layer that is not in it
 */
export function applyAt(
  layers: readonly Module[],
  place: number,
  input: Tensor,
): { output: Tensor; next: number } {
  const first = layers[place] as Module;
  /** What `forward` gives of the first `count` layers, and of a ReLU behind them. */
  const withRelu = (count: number, forward: (relu: boolean) => Tensor): { output: Tensor; next: number } => {
    const relu = isExactly(layers[place + count], ReLU);
    return { output: forward(relu), next: place + count + (relu ? 1 : 0) };
  };
  if (first instanceof AngularLayer && first.isFusible) {
    const second = layers[place + 1];
    if (isExactly(second, BatchNorm2d)) {
      return withRelu(2, (relu) => first.forwardNormed(input, second, relu));
    }
    if (isExactly(second, SphereNorm) && !second.conv && second.channels === first.filters) {
      const { rescaling } = second;
      if (rescaling) return withRelu(2, (relu) => first.forwardRescaled(input, rescaling, relu));
    }
    return withRelu(1, (relu) => first.forwardRescaled(input, undefined, relu));
  }
  if (isExactly(first, BatchNorm2d) || isExactly(first, SphereNorm)) {
    return withRelu(1, (relu) => first.forwardRelu(input, relu));
  }
  return { output: first.forward(input), next: place + 1 };
}
