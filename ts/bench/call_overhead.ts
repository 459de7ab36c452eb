import { ones } from '../core/create';
import { device } from '../core/device';
import { keep, noGrad, scope } from '../core/scope';
import * as ops from '../ops';
import type { Benchmark } from './benchmark';
import { quartiles } from './statistics';
import { timeInTurn } from './timing';
import type { Work } from './layer_work';

/**
 * What an op costs in JavaScript: on tensors so small that its kernel takes no time to speak of, until the call has
 * returned (`JavaScript`) and until the results of all are there (`with kernel`), per op.
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
      const works: readonly [string, Work][] = [
        ['add', () => noGrad(() => void ops.add(x, x))],
        ['add, recorded', () => void ops.add(x, x)],
        ['conv2d', () => noGrad(() => void ops.conv2d(image, filter, null))],
        ['sphereConv2d', () => noGrad(() => void ops.sphereConv2d(image, filter))],
      ];
      try {
        const samples = timeInTurn(
          works.map(([, work]) => ({
            call: () => {
              scope(() => {
                for (let i = 0; i < each; ++i) work(i);
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
