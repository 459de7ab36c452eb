import { ones } from '../core/create';
import { device } from '../core/device';
import { enableGrad, keep, noGrad, scope } from '../core/scope';
import * as ops from '../ops';
import type { Benchmark } from './benchmark';
import { quartiles } from './statistics';
import { timeInTurn } from './timing';
import type { Work } from './layer_work';

/** In one scope, as in a training step: an op costs more where so many tensors live that they leave the caches. */
const OPS_IN_STEP = 100;

/**
 * What an op costs the thread of JavaScript, its result's end in a scope included: on tensors so small that the kernel
 * takes no time to speak of, until all calls have returned (`JavaScript`) and until the results of all are there
 * (`with kernel`), per op. The calls are fewer than the queue of a device holds, so that it keeps nobody waiting; how
 * far the second figure is above the first is what the device is behind.
 */
export function callOverhead(): Benchmark {
  const subject = 'an op on tiny tensors';
  return {
    ...{ kind: 'overhead', subject, atCeilings: false },
    run({ device: where, effort, emit }) {
      const x = keep(ones([4], { device: where, requiresGrad: true }));
      const image = keep(ones([1, 3, 3, 1], { device: where }));
      const filter = keep(ones([1, 3, 3, 1], { device: where }));
      const each = effort.overheadCalls;
      const works: readonly [string, Work, typeof noGrad][] = [
        ['add', () => void ops.add(x, x), noGrad],
        ['add, recorded', () => void ops.add(x, x), enableGrad],
        ['conv2d', () => void ops.conv2d(image, filter, null), noGrad],
        ['sphereConv2d', () => void ops.sphereConv2d(image, filter), noGrad],
      ];
      try {
        const samples = timeInTurn(
          works.map(([, work, recording]) => ({
            call: () => {
              recording(() => {
                for (let i = 0; i < each;) {
                  scope(() => {
                    for (const end = Math.min(i + OPS_IN_STEP, each); i < end; ++i) work(i);
                  });
                }
              });
            },
          })),
          {
            ...{ seconds: effort.otherSeconds, leastRuns: effort.leastRuns, mostRuns: effort.mostRuns },
            ...{ sampleSeconds: 0, leastCalls: 1, mostCalls: 1 },
          },
        );
        works.forEach(([contestant], i) => {
          for (const [what, values] of [
            ['JavaScript', samples[i]?.submitted],
            ['with kernel', samples[i]?.seconds],
          ] as const) {
            const perOp = (values ?? []).map((seconds) => seconds / each);
            emit({ kind: 'overhead', subject, what, contestant, unit: 'seconds', ...quartiles(perOp) });
          }
        });
        device.synchronize();
      } finally {
        for (const tensor of [x, image, filter]) tensor.dispose();
      }
    },
  };
}
