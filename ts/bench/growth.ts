import { quartiles } from './statistics';
import type { Benchmark } from './benchmark';
import { timingPlan } from './effort';
import type { GrowthPlan } from './effort';
import { find, single } from './measurement';
import type { Measurement } from './measurement';
import type { NetworkSpec } from './networks';
import { fitLine } from './statistics';
import type { Line } from './statistics';
import { savedForBackward } from './step_memory';
import { timeInTurn } from './timing';
import { makeStep } from './training_steps';

/** In what a network grows; what `x` is then, and what theory says is a straight line over it. */
export const AXES = {
  batch: { x: 'images in a batch', linear: { time: true, memory: true } },
  side: { x: 'pixels of an image', linear: { time: true, memory: true } },
  depth: { x: 'convolutions', linear: { time: true, memory: true } },
  // Convolutions cost the product of the widths on both sides, everything else the width: between the two.
  width: { x: 'channels of the first convolutions', linear: { time: false, memory: true } },
} as const;

export type Axis = keyof typeof AXES;

export const GROWTH_TIME = 'training step';
export const GROWTH_MEMORY = 'saved for backward';

/** The networks of an axis, with what stands on it. */
function points(axis: Axis, { base, ...values }: GrowthPlan): { x: number; spec: NetworkSpec }[] {
  return values[axis].map((value) => {
    const spec = { name: 'CNN', angular: true, ...base, [axis]: value } as const;
    const x = axis === 'side' ? value ** 2 : axis === 'width' ? 64 * value : value;
    return { x, spec };
  });
}

/** Time and memory of a spherical CNN's training step as one of its properties grows. */
export function growth(axis: Axis): Benchmark {
  return {
    ...{ kind: 'growth', subject: axis, atCeilings: false },
    run({ device: where, effort, emit }) {
      const all = points(axis, effort.growth);
      const works = all.map(({ spec }) => makeStep(spec, where));
      const common = { kind: 'growth', subject: axis, contestant: 'spherical' } as const;
      try {
        const samples = timeInTurn(
          works.map(({ step }) => ({ call: step })),
          timingPlan(effort, where, 2 * effort.otherSeconds),
        );
        all.forEach(({ x }, i) => {
          const figures = quartiles(samples[i]?.seconds ?? []);
          emit({ ...common, what: GROWTH_TIME, x, unit: 'seconds', ...figures });
        });
        all.forEach(({ x }, i) => {
          const saved = savedForBackward(works[i] as (typeof works)[number], where);
          emit({ ...common, what: GROWTH_MEMORY, x, unit: 'bytes', ...single(saved) });
        });
      } finally {
        for (const work of works) work[Symbol.dispose]();
      }
    },
  };
}

export interface GrowthLine {
  readonly axis: Axis;
  readonly what: typeof GROWTH_TIME | typeof GROWTH_MEMORY;
  readonly points: readonly (readonly [number, number])[];
  /** Null where theory has no straight line. */
  readonly line: Line | null;
}

/** The points of each axis and the straight lines through them, as far as the measurements have them. */
export function growthLines(measurements: readonly Measurement[]): GrowthLine[] {
  return (Object.keys(AXES) as Axis[]).flatMap((axis) =>
    ([GROWTH_TIME, GROWTH_MEMORY] as const).flatMap((what): GrowthLine[] => {
      const own = find(measurements, { kind: 'growth', subject: axis, what });
      const points = own.map(({ x, median }) => [x ?? NaN, median] as const);
      if (points.length < 2) return [];
      const { linear } = AXES[axis];
      const isLinear = what === GROWTH_TIME ? linear.time : linear.memory;
      return [{ axis, what, points, line: isLinear ? fitLine(points) : null }];
    }),
  );
}
