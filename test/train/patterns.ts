import { Classifier } from '../../ts/models';
import * as nn from '../../ts/nn';
import type { Batch } from '../../ts/train';
import { Generator, keep, tensor } from '../support/library';
import { Numbers } from '../support/numbers';

const SIDE = 8;

/**
 * Noisy stripes, upright (class 0) or level (class 1), the same each time through. As a data loader does, it frees a
 * batch as soon as the next is asked for.
 */
export class Stripes implements AsyncIterable<Batch> {
  readonly images: Float32Array[] = [];
  readonly labels: number[] = [];
  /** Batches handed out so far, over all passes. */
  served = 0;

  constructor(
    count: number,
    readonly batchSize: number,
    seed = 1,
  ) {
    const numbers = new Numbers(seed);
    for (let i = 0; i < count; ++i) {
      const label = numbers.below(2);
      const phase = numbers.below(2);
      const image = Float32Array.from({ length: SIDE * SIDE }, (_, at) => {
        const along = label === 0 ? at % SIDE : Math.floor(at / SIDE);
        return ((along + phase) % 2) * 2 - 1;
      });
      const noise = numbers.normals(SIDE * SIDE, 0.5);
      this.images.push(image.map((value, at) => value + (noise[at] as number)));
      this.labels.push(label);
    }
  }

  get length(): number {
    return Math.ceil(this.labels.length / this.batchSize);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Batch> {
    for (let start = 0; start < this.labels.length; start += this.batchSize) {
      const chosen = this.images.slice(start, start + this.batchSize);
      const values = Float32Array.from(chosen.flatMap((image) => [...image]));
      const images = keep(tensor(values, { shape: [chosen.length, SIDE, SIDE, 1] }));
      const labels = keep(tensor(Int32Array.from(this.labels.slice(start, start + this.batchSize))));
      await new Promise(setImmediate);
      ++this.served;
      try {
        yield { images, labels };
      } finally {
        images.dispose();
        labels.dispose();
      }
    }
  }
}

const HEADS = {
  softmax: (generator: Generator) => new nn.SoftmaxHead(8, 2, { generator }),
  angular: (generator: Generator) => new nn.AngularHead(8, 2, { operator: 'linear', margin: 2, generator }),
  sphereFace2: (generator: Generator) => new nn.SphereFace2Head(8, 2, { generator }),
};

/** A network that is large enough for stripes. */
export function stripesModel(head: keyof typeof HEADS, seed = 1): Classifier {
  const generator = new Generator(seed);
  const net = new nn.Sequential(
    new nn.SphereConv2d(1, 8, 3, { operator: 'sigmoid', k: 0.3, generator }),
    new nn.BatchNorm2d(8),
    new nn.ReLU(),
    new nn.MaxPool2d(2),
    new nn.Flatten(),
    new nn.Dropout(0.1, { generator }),
    new nn.SphereLinear(72, 8, { generator }),
    new nn.BatchNorm2d(8),
  );
  return new Classifier(net, HEADS[head](generator));
}
