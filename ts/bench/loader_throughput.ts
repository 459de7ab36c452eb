import { device } from '../core/device';
import { Generator } from '../core/random';
import { scope } from '../core/scope';
import { dataset, loader } from '../data';
import type { LoaderOptions } from '../data';
import type { Benchmark } from './benchmark';
import { timingPlan } from './effort';
import { quartiles } from './statistics';
import { timeInTurn } from './timing';

const BATCH = 128;

/** Images per second of `data.loader` on shuffled 32×32 colour images, as they are and moved and mirrored at random. */
export function loaderThroughput(): Benchmark {
  const subject = 'data.loader, 32x32x3';
  return {
    ...{ kind: 'loader', subject, atCeilings: false },
    run({ device: where, effort, emit }) {
      const count = effort.loaderImages;
      const draw = new Generator(1);
      const source = dataset({
        images: Uint8Array.from({ length: count * 3072 }, () => 256 * draw.uniform()),
        labels: Int32Array.from({ length: count }, () => 10 * draw.uniform()),
        ...{ shape: [32, 32, 3], classes: Array.from({ length: 10 }, (_, i) => String(i)) },
      });
      const kinds: readonly [string, LoaderOptions][] = [
        ['as they are', { batchSize: BATCH, shuffle: true, seed: 1 }],
        ['augmented', { batchSize: BATCH, shuffle: true, seed: 1, augment: { padding: 4, flip: true } }],
      ];
      const before = device.current();
      device.use(where);
      try {
        const samples = timeInTurn(
          kinds.map(([, options]) => {
            const batches = loader(source, options);
            return {
              call: () => {
                scope(() => {
                  // What a training takes of a batch is timed elsewhere.
                  for (const _ of batches) continue;
                });
              },
            };
          }),
          { ...timingPlan(effort, 'cpu', effort.otherSeconds) },
        );
        kinds.forEach(([contestant], i) => {
          const seconds = samples[i]?.seconds ?? [];
          const what = `batch ${BATCH}, shuffled`;
          emit({
            kind: 'loader',
            subject,
            what,
            contestant,
            unit: 'seconds',
            ...quartiles(seconds),
            images: count,
          });
        });
      } finally {
        device.use(before);
      }
    },
  };
}
