/** The paper's experiments: descriptions of what to run, and what runs, stores and reports them. */
export { EXPERIMENTS } from './catalogue';
export { trainingImages } from './config';
export type { Budget, Experiment, Plan } from './experiment';
export { DataShelf } from './load_data';
export { reproduce } from './reproduce';
export type { ReproduceOptions, Written } from './reproduce';
