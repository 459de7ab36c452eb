/** Networks of the paper, ready to train. */
export type { StridedArchitectureOptions, StridedPadding } from './builder';
export { Classifier } from './classifier';
export type { ArchitectureOptions, LayerNorm } from './options';
export { sphereCnn } from './sphere_cnn';
export type { SphereCnn, SphereCnnOptions } from './sphere_cnn';
