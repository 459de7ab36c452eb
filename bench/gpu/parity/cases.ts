// What a parity case is; the cases themselves are in the files beside this one.
import type { Tensor } from 'spherenet';
import type { Draw } from '../draw';
import { SMALL } from '../target';
import type { Variant, VariantName } from '../target';
import type { Kind } from './compare';
import type { Inputs } from './inputs';

/** One run of one op with its gradients. Called once per place, with the same numbers. */
export interface Case {
  /** Shapes and options, for whoever has to look into a failure. */
  readonly text: string;
  readonly kind: Kind;
  /** Outputs that are of another kind than the case. */
  readonly kinds?: Readonly<Record<string, Kind>>;
  /** The CPU in which format: float64 by default, or the variant's own, where that is part of the result. */
  readonly reference?: 'same';
  run(inputs: Inputs): Record<string, Tensor>;
}

/** An op under test, and how its cases are drawn. */
export interface Operation {
  readonly name: string;
  readonly variants: readonly VariantName[];
  draw(draw: Draw, variant: Variant): Case;
}

/** Ops that multiply on tensor cores, where the variants tf32 and float32 differ. */
export const PRODUCTS: readonly VariantName[] = ['float32', 'tf32', 'bfloat16', 'float16', 'float64'];
export const ACTIVATIONS: readonly VariantName[] = ['float32', 'bfloat16', 'float16', 'float64'];
export const WIDE: readonly VariantName[] = ['float32', 'float64'];

/** A shape of at most `most` elements; small extents are the likelier. */
export function drawShape(
  draw: Draw,
  minRank: number,
  maxRank: number,
  most = SMALL ? 600 : 200_000,
): number[] {
  const rank = draw.between(minRank, maxRank);
  const shape: number[] = [];
  let left = most;
  for (let axis = 0; axis < rank; ++axis) {
    const longest = Math.max(1, Math.floor(left ** (1 / (rank - axis))));
    const extent = Math.max(1, Math.round(longest ** draw.uniform() * (draw.chance(0.2) ? 1 : 1.5)));
    const clipped = Math.min(extent, left);
    shape.push(clipped);
    left = Math.max(1, Math.floor(left / clipped));
  }
  return shape;
}

export function words(options: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(options);
}

/**
 * beta of a batch norm with a ReLU behind it. Sums near 0 may end on the other side of the ReLU by rounding alone, which is
 * no error but another gradient: but for float64, beta decides for a whole channel.
 */
export function shiftOf(draw: Draw, { name }: Variant): number {
  if (name === 'float64') return 0.3 * draw.normal();
  return draw.chance(0.7) ? 8 : -8;
}
