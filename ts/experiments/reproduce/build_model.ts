import { Generator } from '../../core/random';
import type { ImageDataset } from '../../data';
import { sphereCnn } from '../../models';
import type { Classifier, SphereCnnOptions } from '../../models';
import type { HeadConfig, ModelConfig } from './config';

/**
 * The network that a configuration describes, for the images of a dataset.
 *
 * @param seed fixes the first weights
 */
export function buildModel(config: ModelConfig, { shape, classes }: ImageDataset, seed: number): Classifier {
  const { depth, widths, features, operator, k, batchNorm } = config;
  return sphereCnn({
    depth,
    widths,
    features,
    operator,
    k,
    batchNorm,
    head: headOptions(config.head),
    inputShape: shape,
    classes: classes.length,
    generator: new Generator(seed),
  });
}

function headOptions(config: HeadConfig): SphereCnnOptions['head'] {
  if (config.loss === 'softmax') return 'softmax';
  const { loss: _, ...options } = config;
  return options;
}
