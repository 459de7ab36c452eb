/** Losses and regularisers; each returns a scalar to call backward() on. */
export { softmaxCrossEntropy } from '../ops';
export type { CrossEntropyOptions } from '../ops';
export { gaSoftmax } from './ga_softmax';
export type { GaSoftmaxOptions } from './ga_softmax';
export { arcFace, cosFace, normFace, sphereFace, sphereFaceR } from './margin_softmax';
export type {
  ArcFaceOptions,
  CosFaceOptions,
  NormFaceOptions,
  SphereFaceOptions,
  SphereFaceROptions,
} from './margin_softmax';
export { hypersphericalEnergy } from './hyperspherical_energy';
export type { HypersphericalEnergyOptions } from './hyperspherical_energy';
export { orthogonality } from './orthogonality';
export type { OrthogonalityOptions } from './orthogonality';
export { sphereFace2, sphereFace2Bias } from './sphere_face2';
export type { SphereFace2Options } from './sphere_face2';
export { total } from './total';
