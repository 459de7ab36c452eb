export { Adam, AdamW } from './adam';
export type { AdamOptions } from './adam';
export { Optimizer } from './optimizer';
export type {
  CommonHyper,
  CommonOptions,
  Group,
  OptimizerState,
  ParameterGroup,
  StepOptions,
  Trainable,
} from './optimizer';
export { projectSpheres } from './project_spheres';
export { constant, cosine, Schedule, stepDecay, warmup } from './schedules';
export type { Factor } from './schedules';
export { SGD } from './sgd';
export type { SGDOptions } from './sgd';
