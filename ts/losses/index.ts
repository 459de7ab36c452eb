/** Losses and regularisers; each returns a scalar to call backward() on. */
export { softmaxCrossEntropy } from '../ops';
export type { CrossEntropyOptions } from '../ops';
export { gaSoftmax } from './ga_softmax';
export type { GaSoftmaxOptions } from './ga_softmax';
export { orthogonality } from './orthogonality';
