/** Networks of the paper, ready to train. */
export { Classifier } from './classifier';
export { sphereCnn } from './sphere_cnn';
export type { SphereCnn, SphereCnnOptions } from './sphere_cnn';
