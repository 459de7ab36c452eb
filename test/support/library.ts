/** What tests use of the library, without the parts that tests of core, ops and losses do not need. */
export { Tensor, allocate } from '../../ts/core/tensor';
export type { NestedArray } from '../../ts/core/tensor';
export { tensor, zeros, ones, full } from '../../ts/core/create';
export { scope, keep, noGrad, enableGrad, isGradEnabled } from '../../ts/core/scope';
export { memory } from '../../ts/core/memory';
export { device } from '../../ts/core/device';
export { random, Generator } from '../../ts/core/random';
export { SphereNetError } from '../../ts/core/errors';
export type { DType, FloatDType, HalfDType, TypedArray } from '../../ts/core/dtype';
export type { Shape } from '../../ts/core/shape';
export * as ops from '../../ts/ops';
export * as losses from '../../ts/losses';
