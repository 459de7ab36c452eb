import type { EChartsOption, SeriesOption } from 'echarts';
import { describeMachine } from '../experiments/machine';
import {
  axis,
  colorOf,
  inShort,
  legendOf,
  PAPER,
  QUIET,
  RULE,
  TEXT,
  TITLE,
  WIDTH,
} from '../experiments/report/figure_style';
import { renderSvg } from '../experiments/report/svg';
import type { Ceilings } from './ceilings';
import { AXES, GROWTH_TIME, growthLines } from './growth';
import type { GrowthLine } from './growth';
import { distinct, find } from './measurement';
import type { Measurement } from './measurement';
import type { BenchResults } from './results';

/** The SVG files of a run, as far as it has measured what is on them. */
export function renderFigures({ measurements, ceilings, machine }: BenchResults): Record<string, string> {
  const roofline = rooflineFigure(measurements, ceilings, describeMachine(machine));
  const growth = growthFigure(measurements);
  return {
    ...(roofline !== null && { 'roofline.svg': roofline }),
    ...(growth !== null && { 'growth.svg': growth }),
  };
}

/** Passes that the roofline shows. */
const SHOWN = ['forward', 'whole'] as const;

/**
 * The layers on a roofline (Williams, Waterman, Patterson 2009): operations per byte that a plain convolution moves at
 * least, and the operations per second that were reached, below what arithmetic and memory allow at most. Both axes are
 * logarithmic. Null where no layer or no ceiling was measured.
 */
export function rooflineFigure(
  measurements: readonly Measurement[],
  ceilings: Ceilings | null,
  machine: string,
): string | null {
  const layers = find(measurements, { kind: 'layer' });
  if (!ceilings?.flops || layers.length === 0) return null;
  const kinds = distinct(layers.map(({ contestant }) => contestant)).flatMap((contestant) =>
    SHOWN.map((what) => ({ name: `${contestant} ${what}`, own: find(layers, { contestant, what }) })),
  );
  const shown = kinds.filter(({ own }) => own.length > 0);
  const points = shown.map(({ own }) => own.map(pointOf));
  const all = points.flat();
  if (all.length === 0) return null;
  const peak = ceilings.flops.all.median / 1e9;
  const ridge = ceilings.flops.all.median / ceilings.bandwidth.all.median;
  const x = powersAround([ridge / 4, ...all.map(([intensity]) => intensity)]);
  const y = powersAround([...all.map(([, speed]) => speed), peak]);
  const { legend, height } = legendOf(
    shown.map(({ name }) => name),
    { itemWidth: 9, itemHeight: 9, icon: 'circle' },
  );
  const top = 56 + height;
  return renderSvg(WIDTH, 420 + top, {
    backgroundColor: PAPER,
    title: { text: `Layers below the ceilings of ${machine}`, left: 12, top: 10, textStyle: TITLE },
    legend,
    grid: { left: 64, right: 24, top, bottom: 52 },
    xAxis: { ...axis('operations per byte', 28), type: 'log', logBase: 2, min: x.low, max: x.high },
    yAxis: { ...axis('GFLOP/s', 46), type: 'log', logBase: 2, min: y.low, max: y.high },
    series: [
      roof('all threads', ceilings.flops.all.median, ceilings.bandwidth.all.median, x, 'solid'),
      ...(ceilings.bandwidth.one
        ? [roof('one thread', ceilings.flops.one.median, ceilings.bandwidth.one.median, x, 'dashed')]
        : []),
      ...shown.map(({ name }, i): SeriesOption => ({
        ...{ type: 'scatter', name, silent: true, color: colorOf(i), symbolSize: 8 },
        itemStyle: { color: colorOf(i), opacity: 0.8 },
        data: points[i] ?? [],
      })),
    ],
  });
}

/** The powers of two between which numbers lie. */
function powersAround(values: readonly number[]): { low: number; high: number } {
  const logs = values.map(Math.log2);
  return { low: 2 ** Math.floor(Math.min(...logs)), high: 2 ** Math.ceil(Math.max(...logs)) };
}

/** [operations per byte, GFLOP/s] */
function pointOf({ flops = NaN, bytes = NaN, median }: Measurement): [number, number] {
  return [flops / bytes, flops / median / 1e9];
}

function roof(
  name: string,
  flops: number,
  bandwidth: number,
  { low, high }: { low: number; high: number },
  type: 'solid' | 'dashed',
): SeriesOption {
  const ridge = flops / bandwidth;
  const at = (intensity: number): [number, number] => [
    intensity,
    Math.min(flops, bandwidth * intensity) / 1e9,
  ];
  const data = [low, ...(ridge > low && ridge < high ? [ridge] : []), high].map(at);
  return {
    ...{ type: 'line', silent: true, showSymbol: false, data, lineStyle: { color: QUIET, width: 1.5, type } },
    endLabel: { show: true, formatter: name, offset: [-70, -10], ...TEXT },
  };
}

const PANEL = { width: 168, height: 150, gap: 56, left: 64, top: 64 };

/** Time and memory of a training step as batch, images, depth and width grow, with the straight lines of theory. */
export function growthFigure(measurements: readonly Measurement[]): string | null {
  const lines = growthLines(measurements);
  if (lines.length === 0) return null;
  const axes = distinct(lines.map((line) => line.axis));
  const place = ({ axis: own, what }: GrowthLine): { left: number; top: number } => ({
    left: PANEL.left + axes.indexOf(own) * (PANEL.width + PANEL.gap),
    top: PANEL.top + (what === GROWTH_TIME ? 0 : PANEL.height + 64),
  });
  const option: EChartsOption = {
    backgroundColor: PAPER,
    title: [
      { text: 'A spherical CNN as it grows', left: 12, top: 10, textStyle: TITLE },
      ...lines.map((line) => ({
        text: line.what === GROWTH_TIME ? 'training step, ms' : 'saved for backward, MB',
        ...{ left: place(line).left - 44, top: place(line).top - 26, textStyle: TEXT },
      })),
    ],
    grid: lines.map((line) => ({ ...place(line), width: PANEL.width, height: PANEL.height })),
    xAxis: lines.map((line, i) => ({
      ...{ ...axis(AXES[line.axis].x, 26), type: 'value' as const, gridIndex: i, min: 0, splitNumber: 3 },
      splitLine: { show: false },
    })),
    yAxis: lines.map((_, i) => ({
      ...{ type: 'value' as const, gridIndex: i, min: 0, splitNumber: 3 },
      axisLabel: { ...TEXT, formatter: inShort },
      splitLine: { lineStyle: { color: RULE } },
    })),
    series: lines.flatMap((line, i) => panelSeries(line, i)),
  };
  const width = PANEL.left + axes.length * (PANEL.width + PANEL.gap);
  return renderSvg(width, PANEL.top + 2 * PANEL.height + 130, option);
}

function panelSeries({ what, points, line }: GrowthLine, panel: number): SeriesOption[] {
  const unit = what === GROWTH_TIME ? 1e-3 : 1e6;
  const color = colorOf(what === GROWTH_TIME ? 0 : 1);
  const where = { xAxisIndex: panel, yAxisIndex: panel, silent: true };
  const dots: SeriesOption = {
    ...{ ...where, type: 'scatter', symbolSize: 7, itemStyle: { color } },
    data: points.map(([x, y]) => [x, y / unit]),
  };
  if (!line) return [dots];
  const last = points[points.length - 1]?.[0] ?? 0;
  const ends = [0, last].map((x) => [x, Math.max(0, line.intercept + line.slope * x) / unit]);
  return [
    { ...where, type: 'line', showSymbol: false, lineStyle: { color, width: 1, opacity: 0.6 }, data: ends },
    dots,
  ];
}
