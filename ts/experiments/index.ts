/** What the command line runs: an experiment from data to report. */
export { DEFAULT_SETTINGS, describeDevice, runFashionMnist } from './fashion_mnist';
export type { FashionMnistOptions } from './fashion_mnist';
export { renderReport, writeFiles } from './report';
export type { FashionMnistResults } from './results';
