import type { Experiment } from '../experiment';
import { conditioning } from './conditioning';
import { depth } from './depth';
import { featurePlaneExperiment } from './feature_plane';
import { imagenetResnet18 } from './imagenet_resnet18';
import { learnableK } from './learnable_k';
import { lossOperatorTable } from './loss_operator_table';
import { noRelu } from './no_relu';
import { operators } from './operators';
import { orthogonality } from './orthogonality';
import { resnet32 } from './resnet32';
import { sphereNorm } from './sphere_norm';
import { width } from './width';

/** What `spherenet reproduce` knows, in the order of the paper; the last goes beyond it. */
export const EXPERIMENTS: readonly Experiment[] = [
  lossOperatorTable,
  depth,
  noRelu,
  width,
  resnet32,
  learnableK,
  sphereNorm,
  orthogonality,
  imagenetResnet18,
  featurePlaneExperiment,
  conditioning,
  operators,
];
