import type { DType, TypedArray } from '../core/dtype';
import { SphereNetError } from '../core/errors';
import { formatShape, sameShape } from '../core/shape';
import type { Shape } from '../core/shape';
import type { Tensor } from '../core/tensor';

/** A tensor outside of the library: plain data that can be written to a file. */
export interface TensorData {
  shape: Shape;
  dtype: DType;
  data: TypedArray;
}

/** Tensors by their path inside a module, such as `0.weight` or `features.1.runningMean`. */
export type StateDict = Record<string, TensorData>;

/** Copies a tensor to JavaScript; does not block. */
export async function readTensor(tensor: Tensor): Promise<TensorData> {
  return { shape: [...tensor.shape], dtype: tensor.dtype, data: await tensor.data() };
}

/** Says how `data` does not fit `tensor`, or null where it does. */
export function mismatch(tensor: Tensor, data: TensorData): string | null {
  if (!sameShape(tensor.shape, data.shape)) {
    return `expected shape ${formatShape(tensor.shape)}, got ${formatShape(data.shape)}`;
  }
  if (tensor.dtype !== data.dtype) return `expected dtype ${tensor.dtype}, got ${data.dtype}`;
  if (tensor.size !== data.data.length) {
    return `expected ${tensor.size} values, got ${data.data.length}`;
  }
  return null;
}

/**
 * Overwrites tensors with the entries of a state dictionary of the same keys. Nothing is written unless all fits.
 *
 * @throws SphereNetError listing every missing and unexpected key and every wrong shape or dtype
 */
export function assignState(owner: string, targets: ReadonlyMap<string, Tensor>, state: StateDict): void {
  const problems: string[] = [];
  for (const [path, tensor] of targets) {
    const entry = Object.hasOwn(state, path) ? state[path] : undefined;
    const problem = entry === undefined ? 'missing' : mismatch(tensor, entry);
    if (problem !== null) problems.push(`'${path}': ${problem}`);
  }
  for (const path of Object.keys(state)) {
    if (!targets.has(path)) problems.push(`'${path}': unexpected`);
  }
  if (problems.length > 0) {
    throw new SphereNetError(
      'SPHERENET_ARGUMENT',
      `${owner}.loadStateDict: the state does not fit: ${problems.join('; ')}`,
    );
  }
  for (const [path, tensor] of targets) {
    const entry = state[path];
    if (entry !== undefined) tensor.assign(entry.data);
  }
}
