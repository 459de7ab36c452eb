import { device } from '../core/device';
import type { BenchContext, Benchmark } from './benchmark';
import { rotationFor, timingPlan } from './effort';
import { layerSets, LayerWork } from './layer_work';
import type { LayerOp } from './layer_work';
import { flops, label, leastBytes, PASSES } from './layers';
import type { Layer } from './layers';
import { quartiles } from './statistics';
import { timeInTurn } from './timing';

/**
 * Plain convolution and SphereConv(sigmoid) on a layer in float32: forward, the backward pass to the input, that to the
 * weights, and the whole. Inputs, gradients and results are rotated past the last cache.
 */
export function convolutionPasses(layer: Layer): Benchmark {
  const subject = label(layer);
  return {
    ...{ kind: 'layer', subject, atCeilings: true },
    async run(context) {
      measure(context);
      await context.peers?.measureLayer(layer, context);
    },
  };

  function measure({ device: where, effort, emit }: BenchContext): void {
    const formats = { device: where, dtype: 'float32', parameters: 'float32' } as const;
    using work = new LayerWork(layer, formats, layerSets(layer, 'float32', rotationFor(where)));
    const ops: readonly [string, LayerOp][] = [
      ['conv2d', work.conv],
      ['SphereConv', work.sphere],
    ];
    const pairs = PASSES.flatMap((pass) => ops.map(([contestant, op]) => ({ pass, contestant, op })));
    const plan = timingPlan(effort, where, effort.layerSeconds);
    const samples = timeInTurn(
      pairs.map(({ op, pass }) => work.contestant(op, pass)),
      plan,
    );
    pairs.forEach(({ pass, contestant }, i) => {
      emit({
        ...{ kind: 'layer', subject, what: pass, contestant, unit: 'seconds' },
        ...quartiles(samples[i]?.seconds ?? []),
        ...{ flops: flops(layer, pass), bytes: leastBytes(layer, pass) },
      });
    });
    device.synchronize();
  }
}
