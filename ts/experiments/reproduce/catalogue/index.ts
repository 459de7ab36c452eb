import type { Experiment } from '../experiment';
import { conditioning } from './conditioning';
import { featurePlaneExperiment } from './feature_plane';
import { lossOperatorTable } from './loss_operator_table';
import { width } from './width';

/** What `spherenet reproduce` knows, in the order of the paper. */
export const EXPERIMENTS: readonly Experiment[] = [
  lossOperatorTable,
  width,
  featurePlaneExperiment,
  conditioning,
];
