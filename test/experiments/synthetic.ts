import { FASHION_MNIST_CLASSES } from '../../ts/data/fashion_mnist';
import { dataset } from '../../ts/data/dataset';
import type { ImageDataset } from '../../ts/data/dataset';
import type { FashionMnistResults, FeaturePlane } from '../../ts/experiments/results';
import { Numbers } from '../support/numbers';

const EPOCHS = 4;
const STEPS_PER_EPOCH = 25;
const PER_CLASS = 20;

/** Results as a training could have had them, the same at every call. */
export function syntheticResults(): FashionMnistResults {
  const numbers = new Numbers(3);
  const classes = FASHION_MNIST_CLASSES;
  const steps = Array.from({ length: EPOCHS * STEPS_PER_EPOCH }, (_, i) => {
    const progress = 1 - Math.exp(-i / 20);
    return { step: i + 1, loss: 2.2 - 1.7 * progress, accuracy: Math.min(1, 0.1 + 0.7 * progress) };
  });
  const epochs = Array.from({ length: EPOCHS }, (_, i) => ({
    epoch: i + 1,
    trainLoss: 0.9 / (i + 1),
    trainAccuracy: 0.7 + 0.05 * i,
    evalLoss: 0.8 / (i + 1),
    evalAccuracy: 0.68 + 0.05 * i,
    imagesPerSecond: 3210,
    seconds: 3.1,
  }));
  const confusion = classes.map((_, label) =>
    classes.map((__, prediction) =>
      prediction === label ? PER_CLASS - 3 : prediction === (label + 4) % 10 ? 3 : 0,
    ),
  );
  return {
    created: '2026-01-02T03:04:05.000Z',
    version: '0.1.0',
    command: 'spherenet train --seed 1',
    machine: {
      device: 'cpu',
      simd: 'avx2',
      threads: 2,
      processor: 'Example CPU',
      withoutCuda: 'no CUDA: built without it',
      node: 'v20.0.0',
      platform: 'linux x64',
    },
    data: { folder: null, trainImages: 800, testImages: PER_CLASS * classes.length, classes },
    settings: {
      epochs: EPOCHS,
      batchSize: 32,
      seed: 1,
      operator: 'sigmoid',
      k: 0.3,
      margin: 2,
      depth: 3,
      widths: [8, 16, 32],
      features: 64,
      learningRate: 1e-3,
      planeEpochs: 2,
    },
    parameters: 12_345,
    history: { steps, epochs },
    test: { loss: 0.3, accuracy: 0.85, confusion },
    mistakes: [0, 1, 2, 3].map((index) => ({
      index,
      label: index,
      prediction: (index + 4) % 10,
      confidence: 0.99 - index / 50,
    })),
    featurePlanes: [
      plane('Plain CNN, softmax', numbers, (along) => 5 + 3 * along),
      plane('SphereNet, W-Softmax', numbers, (along) => 16 + along / 2),
    ],
    seconds: { data: 0.2, training: 12.4, evaluation: 0.4, featurePlanes: 8, total: 21 },
  };
}

/** Images to go with them: one of each brightness. */
export function syntheticImages(): ImageDataset {
  const count = 10;
  return dataset({
    images: Uint8Array.from({ length: count * 16 }, (_, i) => (i * 7) % 256),
    labels: Int32Array.from({ length: count }, (_, i) => i),
    shape: [4, 4, 1],
    classes: FASHION_MNIST_CLASSES,
  });
}

function plane(title: string, numbers: Numbers, radius: (along: number) => number): FeaturePlane {
  const noise = numbers.normals(2 * PER_CLASS * 10, 1);
  const labels = Array.from({ length: PER_CLASS * 10 }, (_, i) => i % 10);
  const angle = (i: number): number => (labels[i] as number) * 0.628 + (noise[2 * i] as number) * 0.08;
  const distance = (i: number): number => radius(noise[2 * i + 1] as number);
  return {
    title,
    accuracy: 0.8,
    x: labels.map((_, i) => distance(i) * Math.cos(angle(i))),
    y: labels.map((_, i) => distance(i) * Math.sin(angle(i))),
    labels,
  };
}
