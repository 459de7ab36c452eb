import { Generator } from '../../core/random';
import { resNet18, resNet32, sphereCnn } from '../../models';
import type { ArchitectureOptions, Classifier } from '../../models';
import { SharedCurvature, SoftmaxHead } from '../../nn';
import type { ArchitectureConfig, HeadConfig, ModelConfig } from './config';
import type { RunImages } from './run_images';

/**
 * The network that a configuration describes, for the images of a dataset.
 *
 * @param seed fixes the first weights
 */
export function buildModel(
  config: ModelConfig,
  { shape, classes }: Pick<RunImages, 'shape' | 'classes'>,
  seed: number,
): Classifier {
  const { architecture, operator, norm, relu, batchNorm } = config;
  const generator = new Generator(seed);
  const options: ArchitectureOptions = {
    ...{ operator, norm, relu, batchNorm, generator },
    k: curvature(config.k),
    inputShape: shape,
    classes: classes.length,
    head: head(config.head, featuresOf(architecture), classes.length, generator),
  };
  switch (architecture.name) {
    case 'plainCnn': {
      const { depth, widths, features } = architecture;
      return sphereCnn({ ...options, depth, widths, features });
    }
    case 'resNet32':
      // As the authors' code has it, which is TensorFlow's.
      return resNet32({ ...options, widths: architecture.widths, padding: 'same' });
    case 'resNet18':
      return resNet18({ ...options, widths: architecture.widths, variant: architecture.variant });
  }
}

function curvature(k: ModelConfig['k']): ArchitectureOptions['k'] {
  switch (k) {
    case 'perFilter':
      return 'learnable';
    case 'perLayer':
      return { learnable: true, shared: true };
    case 'perNetwork':
      return new SharedCurvature();
    default:
      return k;
  }
}

function head(
  config: HeadConfig,
  features: number,
  classes: number,
  generator: Generator,
): ArchitectureOptions['head'] {
  if (config.loss === 'softmax') {
    const { labelSmoothing, bias = false } = config;
    return new SoftmaxHead(features, classes, { bias, labelSmoothing, generator });
  }
  const { loss: _, ...options } = config;
  return options;
}

/** What the head sees. */
function featuresOf(architecture: ArchitectureConfig): number {
  return architecture.name === 'plainCnn' ? architecture.features : (architecture.widths.at(-1) as number);
}
