/** Networks of the paper, ready to train. */
export type { StridedArchitectureOptions, StridedPadding } from './builder';
export { Classifier } from './classifier';
export { googLeNet } from './googlenet';
export type { GoogLeNetOptions } from './googlenet';
export type { ArchitectureOptions, LayerNorm } from './options';
export { resNet18, resNet32 } from './resnet';
export type { ResNet18Options, ResNet32Options } from './resnet';
export { sphereCnn } from './sphere_cnn';
export type { SphereCnn, SphereCnnOptions } from './sphere_cnn';
export { vgg16 } from './vgg16';
export type { Vgg16Options } from './vgg16';
