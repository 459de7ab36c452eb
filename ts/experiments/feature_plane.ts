import { Generator } from '../core/random';
import { loader } from '../data';
import type { TrainTest } from '../data';
import { Classifier } from '../models';
import * as nn from '../nn';
import * as optim from '../optim';
import { evaluate, Trainer } from '../train';
import { readRows } from './readout';
import type { FeaturePlane } from './results';

/** Channels of the three convolutions of both networks. */
const WIDTHS = [16, 32, 64] as const;
/** Features before the two, without an activation between, so that they can point in every direction. */
const HIDDEN = 8;
/**
 * What the cosines of the SphereNet are stretched to, because a softmax of numbers in [−1, 1] is never sure of
 * anything. The smaller, the nearer to the ring a feature must lie for the network to be sure.
 */
const RADIUS = 10;

export interface FeaturePlaneOptions {
  epochs: number;
  batchSize: number;
  seed: number;
  /** Shows the training. */
  progress: boolean;
  signal?: AbortSignal | undefined;
}

/**
 * Trains a classifier whose features are two numbers and reads them for all test images.
 *
 * The `plain` network is three convolutions, two linear layers down to the features, and softmax; no layer has a bias.
 * The `sphere` one has angular layers in their place, two stretched cosines as features, and W-Softmax.
 */
export async function featurePlane(
  kind: 'plain' | 'sphere',
  { train, test }: TrainTest,
  { epochs, batchSize, seed, progress, signal }: FeaturePlaneOptions,
): Promise<FeaturePlane> {
  const model = (kind === 'plain' ? plainNet : sphereNet)(train.shape, train.classes.length, seed);
  const batches = loader(train, { batchSize, shuffle: true, seed });
  const optimizer = new optim.Adam(model.parameters(), { lr: 3e-3 });
  const factor = optim.warmup(20, optim.cosine({ total: epochs * batches.length }));
  const schedule = new optim.Schedule(optimizer, factor);
  try {
    await new Trainer({ model, optimizer, schedule, train: batches, epochs, progress, signal }).run();
    signal?.throwIfAborted();
    const tests = loader(test, { batchSize: 250 });
    const { accuracy } = await evaluate(model, tests, { signal });
    const rows = await readRows(model, tests, (images) => model.embed(images), signal);
    const round = (value: number): number => Number(value.toPrecision(4));
    return {
      title: kind === 'plain' ? 'Plain CNN, softmax' : 'SphereNet, W-Softmax',
      accuracy,
      x: rows.filter((_, i) => i % 2 === 0).map(round),
      y: rows.filter((_, i) => i % 2 === 1).map(round),
      labels: [...test.labels],
    };
  } finally {
    optimizer.dispose();
    model.dispose();
  }
}

type ImageShape = readonly [number, number, number];

function plainNet(shape: ImageShape, classes: number, seed: number): Classifier {
  const generator = new Generator(seed);
  const options = { bias: false, generator };
  const body = blocks(shape, (from, to) => new nn.Conv2d(from, to, 3, { padding: 1, ...options }));
  const features = [new nn.Linear(flatSize(shape), HIDDEN, options), new nn.Linear(HIDDEN, 2, options)];
  return new Classifier(new nn.Sequential(...body, ...features), new nn.SoftmaxHead(2, classes, options));
}

function sphereNet(shape: ImageShape, classes: number, seed: number): Classifier {
  const generator = new Generator(seed);
  const body = blocks(shape, (from, to) => new nn.SphereConv2d(from, to, 3, { padding: 1, generator }));
  const features = [
    new nn.SphereLinear(flatSize(shape), HIDDEN, { generator }),
    new nn.BatchNorm2d(HIDDEN),
    // Cosines to two kernels at right angles: points of a disc.
    new nn.SphereLinear(HIDDEN, 2, { generator, init: nn.init.orthogonal }),
    new nn.SphereNorm(2, { beta: RADIUS, learnable: false }),
  ];
  return new Classifier(
    new nn.Sequential(...body, ...features),
    new nn.AngularHead(2, classes, { generator }),
  );
}

function blocks(shape: ImageShape, conv: (from: number, to: number) => nn.Module): nn.Module[] {
  let channels = shape[2];
  const layers = WIDTHS.flatMap((width) => {
    const block = [conv(channels, width), new nn.BatchNorm2d(width), new nn.ReLU(), new nn.MaxPool2d(2)];
    channels = width;
    return block;
  });
  return [...layers, new nn.Flatten()];
}

/** Values of an image after three blocks. */
function flatSize([height, width]: ImageShape): number {
  return Math.floor(height / 8) * Math.floor(width / 8) * WIDTHS[2];
}
