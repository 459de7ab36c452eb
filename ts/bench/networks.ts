import { Generator } from '../core/random';
import { resNet18, resNet32, sphereCnn } from '../models';
import type { Classifier } from '../models';

export const NETWORKS = ['CNN-9', 'ResNet-32', 'ResNet-18'] as const;

export type NetworkName = (typeof NETWORKS)[number];

/** A network to train for some steps. Plain data, so that another process can be told. */
export interface NetworkSpec {
  readonly name: NetworkName | 'CNN';
  /** SphereConv(sigmoid, k = 0.3) instead of plain convolutions. */
  readonly angular: boolean;
  readonly batch: number;
  /** Side of an image; the one that the network is made for by default. */
  readonly side?: number;
  /** What widths are multiplied by, 1 by default. */
  readonly width?: number;
  /** Convolutions of `CNN`, a multiple of 3. */
  readonly depth?: number;
}

/** "CNN-9, batch 64" */
export function networkLabel({ name, batch }: NetworkSpec): string {
  return `${name}, batch ${batch}`;
}

/** [height, width, channels] of its images, and how many classes they fall into. */
export function imagesOf({ name, side }: NetworkSpec): {
  shape: readonly [number, number, number];
  classes: number;
} {
  const extent = side ?? (name === 'ResNet-18' ? 224 : 32);
  return { shape: [extent, extent, 3], classes: name === 'ResNet-18' ? 1000 : 10 };
}

/** The network with the widths of `models`, batch norm and softmax head; its weights are the same each time. */
export function buildNetwork(spec: NetworkSpec): Classifier {
  const { name, angular, width = 1, depth = 9 } = spec;
  const { shape, classes } = imagesOf(spec);
  const common = {
    ...{ operator: angular ? ('sigmoid' as const) : ('none' as const), ...(angular && { k: 0.3 }) },
    ...{ inputShape: shape, classes, generator: new Generator(1) },
  };
  const wide = (channels: number): number => Math.max(1, Math.round(width * channels));
  switch (name) {
    case 'ResNet-32':
      return resNet32({ ...common, widths: [wide(96), wide(192), wide(384)] });
    case 'ResNet-18':
      return resNet18({ ...common, widths: [wide(64), wide(128), wide(256), wide(512)] });
    default:
      return sphereCnn({
        ...{ ...common, depth: name === 'CNN' ? depth : 9, features: wide(256) },
        widths: [wide(64), wide(96), wide(128)],
      });
  }
}
