import type { BenchContext, Benchmark } from './benchmark';
import { timingPlan } from './effort';
import { buildNetwork, imagesOf, networkLabel } from './networks';
import type { NetworkSpec } from './networks';
import { quartiles } from './statistics';
import { StepWork } from './step_work';
import { timeInTurn } from './timing';
import { device } from '../core/device';
import type { DeviceName } from '../core/device';

/** A training step of the network on a device. */
export function makeStep(spec: NetworkSpec, where: DeviceName): StepWork {
  const before = device.current();
  device.use(where);
  try {
    return new StepWork(buildNetwork(spec), { device: where, batch: spec.batch, ...imagesOf(spec) });
  } finally {
    device.use(before);
  }
}

/** Training steps of a network, plain and spherical in turn: forward, loss, backward, SGD with momentum. */
export function trainingSteps(network: Omit<NetworkSpec, 'angular'>): Benchmark {
  const subject = networkLabel({ ...network, angular: false });
  return {
    ...{ kind: 'step', subject, atCeilings: true },
    async run(context) {
      measure(context);
      await context.peers?.measureStep({ ...network, angular: false }, context);
    },
  };

  function measure({ device: where, effort, emit }: BenchContext): void {
    using plain = makeStep({ ...network, angular: false }, where);
    using spherical = makeStep({ ...network, angular: true }, where);
    const works = [
      ['plain', plain],
      ['spherical', spherical],
    ] as const;
    const samples = timeInTurn(
      works.map(([, { step }]) => ({ call: step })),
      timingPlan(effort, where, effort.stepSeconds),
    );
    works.forEach(([contestant], i) => {
      const figures = quartiles(samples[i]?.seconds ?? []);
      const { batch: images } = network;
      emit({
        kind: 'step',
        subject,
        what: 'training step',
        contestant,
        unit: 'seconds',
        ...figures,
        images,
      });
    });
  }
}
