import { attainable } from './ceilings';
import type { Ceilings } from './ceilings';
import { AXES, growthLines, GROWTH_TIME } from './growth';
import { PASSES } from './layers';
import type { Pass } from './layers';
import { distinct, find } from './measurement';
import type { Measurement } from './measurement';
import type { BenchResults } from './results';
import { geometricMean } from './statistics';
import { columns, share, size, time, times } from './words';

/** Those to whom the others of a kind are compared. */
const BASELINES = { layer: 'conv2d', step: 'plain', memory: 'plain' } as const;

/** The results for a terminal: what the machine can do, a table for each kind of benchmark, what to know. */
export function renderTable(results: BenchResults): string {
  const { measurements, ceilings, notes } = results;
  const parts = [
    ceilingLines(results),
    layerLines(measurements, ceilings),
    stepLines(measurements),
    memoryLines(measurements),
    rateLines(measurements),
    overheadLines(measurements),
    growthTable(measurements),
    notes.length > 0 ? ['Not measured, or to be known', ...notes.map((note) => `  ${note}`)] : [],
  ];
  return parts
    .filter((lines) => lines.length > 0)
    .map((lines) => `${lines.join('\n')}\n`)
    .join('\n');
}

function ceilingLines({ ceilings }: BenchResults): string[] {
  if (!ceilings) return [];
  const lines: string[] = [];
  const { flops, bandwidth } = ceilings;
  const giga = (value: number): string => (value / 1e9).toFixed(value < 1e11 ? 1 : 0);
  if (flops) {
    lines.push(
      `multiply-adds in registers: ${giga(flops.all.median)} GFLOP/s, one thread ${giga(flops.one.median)}`,
    );
  }
  const one = bandwidth.one ? `, one thread ${giga(bandwidth.one.median)}` : '';
  lines.push(`memory, read and written: ${giga(bandwidth.all.median)} GB/s${one}`);
  return lines;
}

/** A median beside that of the baseline, as "4.02 ms  1.08x". */
function cell(own: Measurement | undefined, baseline: Measurement | undefined): [string, string] {
  if (!own) return ['-', ''];
  const ratio = baseline && baseline !== own ? times(own.median / baseline.median) : '';
  return [time(own.median), ratio];
}

/** Share of what is attainable, for those with known work. */
export function ofCeiling({ flops, bytes, median }: Measurement, ceilings: Ceilings | null): number | null {
  if (!ceilings?.flops || flops === undefined || bytes === undefined) return null;
  return attainable(flops, bytes, ceilings) / median;
}

function layerLines(all: readonly Measurement[], ceilings: Ceilings | null): string[] {
  const own = find(all, { kind: 'layer' });
  if (own.length === 0) return [];
  const rows = distinct(own.map(({ subject }) => subject)).flatMap((subject) => {
    const here = find(own, { subject });
    return distinct(here.map(({ contestant }) => contestant)).map((contestant, i) => [
      i === 0 ? subject : '',
      contestant,
      ...PASSES.flatMap((what) => {
        const [mine] = find(here, { what, contestant });
        const [baseline] = find(here, { what, contestant: BASELINES.layer });
        const [text, ratio] = cell(mine, baseline);
        const part = mine && mine === baseline ? ofCeiling(mine, ceilings) : null;
        return [text, part === null ? ratio : share(part)];
      }),
    ]);
  });
  const head = ['layer', '', ...PASSES.flatMap((pass) => [pass, ''])];
  return [
    `Layers, float32: medians; conv2d with its share of the ceiling, others as multiples of conv2d`,
    ...columns([head, ...rows], 2),
    ...layerMeans(own, ceilings),
  ];
}

/** What all layers come to, for each contestant and pass. */
export interface LayerMean {
  readonly contestant: string;
  readonly pass: Pass;
  /** Geometric mean of the ratios to conv2d; null for conv2d itself. */
  readonly ratio: number | null;
  /** Of the ceiling, all layers together; null where the ceilings are not known. */
  readonly ofCeiling: number | null;
  /** Layers that it is over: those that both have. */
  readonly layers: number;
}

export function summarizeLayers(all: readonly Measurement[], ceilings: Ceilings | null): LayerMean[] {
  const own = find(all, { kind: 'layer' });
  return distinct(own.map(({ contestant }) => contestant)).flatMap((contestant) =>
    PASSES.flatMap((pass): LayerMean[] => {
      const mine = find(own, { contestant, what: pass });
      if (mine.length === 0) return [];
      const ratios = mine.flatMap(({ subject, median }) => {
        const [baseline] = find(own, { subject, what: pass, contestant: BASELINES.layer });
        return baseline ? [median / baseline.median] : [];
      });
      const total = mine.reduce((sum, { median }) => sum + median, 0);
      const least = mine.reduce((sum, each) => sum + (ofCeiling(each, ceilings) ?? NaN) * each.median, 0);
      return [
        {
          ...{ contestant, pass, layers: mine.length },
          ratio: contestant === BASELINES.layer || ratios.length === 0 ? null : geometricMean(ratios),
          ofCeiling: Number.isNaN(least) ? null : least / total,
        },
      ];
    }),
  );
}

function layerMeans(own: readonly Measurement[], ceilings: Ceilings | null): string[] {
  const means = summarizeLayers(own, ceilings);
  const rows = distinct(means.map(({ contestant }) => contestant)).map((contestant) => [
    `  ${contestant}`,
    ...PASSES.map((pass) => {
      const mean = means.find((each) => each.contestant === contestant && each.pass === pass);
      if (!mean) return '-';
      const words = [
        ...(mean.ratio === null ? [] : [times(mean.ratio)]),
        ...(mean.ofCeiling === null ? [] : [`${share(mean.ofCeiling)} of the ceiling`]),
      ];
      return words.join(', ') || '-';
    }),
  ]);
  const title = 'Together: geometric mean of the multiples of conv2d, and of the ceiling';
  return ['', title, ...columns([['', ...PASSES], ...rows])];
}

function stepLines(all: readonly Measurement[]): string[] {
  const own = find(all, { kind: 'step' });
  if (own.length === 0) return [];
  const rows = own.map((each) => {
    const [baseline] = find(own, { subject: each.subject, what: each.what, contestant: BASELINES.step });
    const rate = each.images === undefined ? '' : `${(each.images / each.median).toFixed(1)} images/s`;
    return [each.subject, each.contestant, ...cell(each, baseline), rate];
  });
  return ['Training steps: forward, loss, backward, SGD with momentum', ...columns(rows, 2)];
}

function memoryLines(all: readonly Measurement[]): string[] {
  const own = find(all, { kind: 'memory' });
  if (own.length === 0) return [];
  const whats = distinct(own.map(({ what }) => what));
  const rows = distinct(own.map(({ subject }) => subject)).flatMap((subject) =>
    distinct(find(own, { subject }).map(({ contestant }) => contestant)).map((contestant) => [
      subject,
      contestant,
      ...whats.map((what) => {
        const [found] = find(own, { subject, what, contestant });
        return found ? size(found.median) : '-';
      }),
    ]),
  );
  return ['Memory of a training step, over what it found', ...columns([['', '', ...whats], ...rows], 2)];
}

function rateLines(all: readonly Measurement[]): string[] {
  const own = find(all, { kind: 'loader' });
  const rows = own.map(({ subject, what, contestant, images, median }) => [
    ...[subject, what, contestant],
    `${Math.round((images ?? NaN) / median).toLocaleString('en-US')} images/s`,
  ]);
  return rows.length === 0 ? [] : ['Loader', ...columns(rows, 3)];
}

function overheadLines(all: readonly Measurement[]): string[] {
  const own = find(all, { kind: 'overhead' });
  if (own.length === 0) return [];
  const whats = distinct(own.map(({ what }) => what));
  const rows = distinct(own.map(({ contestant }) => contestant)).map((contestant) => [
    contestant,
    ...whats.map((what) => time(find(own, { what, contestant })[0]?.median ?? NaN)),
  ]);
  return ['An op on tiny tensors', ...columns([['', ...whats], ...rows])];
}

function growthTable(all: readonly Measurement[]): string[] {
  const rows = growthLines(all).map(({ axis, what, points, line }) => {
    const [first, last] = [points[0], points[points.length - 1]] as [[number, number], [number, number]];
    const unit = what === GROWTH_TIME ? time : size;
    const fit = line ? `${share(line.residual)} off a straight line` : 'no straight line expected';
    return [AXES[axis].x, what, `${first[0]} to ${last[0]}`, `${unit(first[1])} to ${unit(last[1])}`, fit];
  });
  return rows.length === 0 ? [] : ['A spherical CNN as it grows', ...columns(rows, 2)];
}
