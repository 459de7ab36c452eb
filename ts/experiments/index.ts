/** What the command line runs: an experiment from data to report. */
export { runFashionMnist } from './fashion_mnist';
export type { FashionMnistOptions } from './fashion_mnist';
export { describeDevice } from './machine';
export { formatJson, renderReport, writeFiles } from './report';
export type { FashionMnistResults } from './results';
export { DEFAULT_SETTINGS } from './settings';
export type { ExperimentSettings } from './settings';
