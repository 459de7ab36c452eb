import { checkInteger, describe, fail } from '../core/errors';
import { random } from '../core/random';
import type { Generator } from '../core/random';
import { run } from '../core/run';
import { allocateLike } from '../core/tensor';
import type { Tensor } from '../core/tensor';
import { checkResult, checkTensor, isArray } from './check';

export interface RandomCropFlipOptions {
  /** Zeros added on each side before the window is cut. Default 0. */
  padding?: number | undefined;
  /** Whether half of the images are mirrored, left to right. Default false. */
  flip?: boolean | undefined;
  /** Fixes what happens to which image. Default: drawn from `generator`. */
  seed?: number | undefined;
  /** Default: the shared generator, see {@link random}. */
  generator?: Generator | undefined;
}

/**
 * A random window of each image, mirrored at random: the usual augmentation of small images. Computes nothing, so uint8
 * images can be augmented before they are cast. No gradient flows through it.
 *
 * ```ts
 * ops.randomCropFlip(images, [32, 32], { padding: 4, flip: true }); // CIFAR: moved by up to 4 pixels
 * ```
 *
 * @param images [N,H,W,C] of any dtype
 * @param size [height, width] of the windows, at most those of the padded images
 * @returns [N,height,width,C]
 */
export function randomCropFlip(
  images: Tensor,
  size: readonly [number, number],
  options: RandomCropFlipOptions = {},
): Tensor {
  const op = 'randomCropFlip';
  const { padding = 0, flip = false, generator = random.generator() } = options;
  checkTensor(op, 'images', images, { axes: 'NHWC', dtype: 'any' });
  const [n, h, w, c] = images.shape as [number, number, number, number];
  checkInteger(op, 'padding', padding, 0);
  if (typeof flip !== 'boolean') fail(op, 'flip', 'true or false', describe(flip));
  if (!isArray(size) || size.length !== 2) fail(op, 'size', 'a pair [height, width]', describe(size));
  checkInteger(op, 'size[0]', size[0], 1, h + 2 * padding);
  checkInteger(op, 'size[1]', size[1], 1, w + 2 * padding);
  const shape = [n, ...size, c];
  checkResult(op, shape);
  const seed = options.seed ?? generator.nextSeed();
  checkInteger(op, 'seed', seed, 0, Number.MAX_SAFE_INTEGER);
  const y = allocateLike(images, shape);
  run('randomCropFlip', seed, padding, flip, images, y);
  return y;
}
