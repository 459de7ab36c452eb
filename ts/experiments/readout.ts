import { noGrad, scope } from '../core/scope';
import type { Tensor } from '../core/tensor';
import type { ImageBatch } from '../data';
import type { Module } from '../nn';

/**
 * Puts every image of a source through `compute` in inference mode and collects the rows that come out.
 *
 * @param compute images `[B, H, W, C]` to rows `[B, D]`
 * @returns the rows of all images, one after the other, in the order of the source
 * @throws the signal's reason when it is aborted
 */
export async function readRows(
  model: Module,
  source: Iterable<ImageBatch>,
  compute: (images: Tensor) => Tensor,
  signal?: AbortSignal,
): Promise<number[]> {
  const rows: number[] = [];
  model.eval();
  for (const { images } of source) {
    signal?.throwIfAborted();
    const output = noGrad(() => scope(() => compute(images)));
    try {
      for (const value of await output.data()) rows.push(value);
    } finally {
      output.dispose();
    }
  }
  return rows;
}

/** The probability of the most likely class in each row of scores. */
export function topProbabilities(scores: readonly number[], classes: number): number[] {
  return Array.from({ length: scores.length / classes }, (_, row) => {
    const own = scores.slice(row * classes, (row + 1) * classes);
    const top = Math.max(...own);
    return 1 / own.reduce((sum, score) => sum + Math.exp(score - top), 0);
  });
}
