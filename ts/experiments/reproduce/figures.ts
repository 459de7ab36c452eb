import type { EChartsOption, SeriesOption } from 'echarts';
import { axis, colorOf, inPercent, inShort, legendOf } from '../report/figure_style';
import { PALETTE, PAPER, RULE, TEXT, TITLE, WIDTH } from '../report/figure_style';
import { renderSvg } from '../report/svg';
import type { FeaturePlane } from '../results';

export type Points = readonly (readonly [number, number])[];

export interface LineSeries {
  name: string;
  /** One line per seed, all with the same x. */
  lines: readonly Points[];
}

export interface AxisNames {
  title: string;
  x: string;
  y: string;
  /** Logarithmic scales; points at 0 are left out. */
  log?: { x?: boolean; y?: boolean };
  /** What lies below is cut off. */
  lowest?: number;
  /** y is a share of 1 and shown as per cent. */
  percent?: boolean;
}

/** Every seed as a thin line and their mean as a thick one, a colour for each series. */
export function lineFigure(
  series: readonly LineSeries[],
  { title, x, y, log, lowest, percent }: AxisNames,
): string {
  const shown = (points: Points): number[][] =>
    points
      .filter(([a, b]) => (log?.x !== true || a > 0) && (log?.y !== true || b > 0))
      .map(([a, b]) => [a, b]);
  const { legend, height } = legendOf(
    series.map(({ name }) => name),
    { itemWidth: 18, itemHeight: 3, icon: 'rect' },
  );
  const top = 56 + height;
  return renderSvg(WIDTH, 340 + top, {
    backgroundColor: PAPER,
    title: { text: title, left: 12, top: 10, textStyle: TITLE },
    legend,
    grid: { left: 64, right: 24, top, bottom: 52 },
    xAxis: { ...axis(x, 28), type: log?.x === true ? 'log' : 'value', min: 'dataMin', max: 'dataMax' },
    yAxis: {
      ...axis(y, 46),
      type: log?.y === true ? 'log' : 'value',
      scale: true,
      ...(lowest !== undefined && { min: lowest, max: 'dataMax' as const }),
      axisLabel: { ...TEXT, formatter: percent === true ? inPercent : inShort },
    },
    series: series.flatMap(({ name, lines }, i) => {
      const color = colorOf(i);
      const line = { type: 'line' as const, showSymbol: false, silent: true, color };
      const thin = lines.map((points) => ({
        ...line,
        data: shown(points),
        lineStyle: { color, width: 0.7, opacity: 0.4 },
      }));
      const mean = { ...line, name, data: shown(meanLine(lines, log?.y)), lineStyle: { color, width: 2 } };
      return lines.length > 1 ? [...thin, mean] : [mean];
    }),
  });
}

/** The mean of lines at each x that all of them reach; the geometric one for a logarithmic axis. */
export function meanLine(lines: readonly Points[], geometric = false): Points {
  const length = Math.min(...lines.map((points) => points.length));
  return Array.from({ length: Number.isFinite(length) ? length : 0 }, (_, i) => {
    const values = lines.map((points) => (points[i] as readonly [number, number])[1]);
    const sum = values.reduce((total, value) => total + (geometric ? Math.log(value) : value), 0);
    const mean = sum / lines.length;
    return [
      ((lines[0] as Points)[i] as readonly [number, number])[0],
      geometric ? Math.exp(mean) : mean,
    ] as const;
  });
}

export interface DotGroup {
  name: string;
  /** Values of each category, in their order: one for each seed. */
  values: readonly (readonly number[])[];
}

/** Categories below each other; in each, a line of dots per group: its seeds small, their mean large. */
export function dotFigure(
  categories: readonly string[],
  groups: readonly DotGroup[],
  { title, x, percent }: Pick<AxisNames, 'title' | 'x' | 'percent'>,
): string {
  // The first category is at the top, and so is the first group in it.
  const place = (category: number, group: number): number =>
    categories.length - 1 - category + 0.35 - (0.7 * (group + 0.5)) / groups.length;
  const { legend, height: legendHeight } = legendOf(
    groups.map(({ name }) => name),
    { itemWidth: 9, itemHeight: 9, icon: 'circle' },
  );
  const top = 56 + legendHeight;
  const height = Math.max(120, categories.length * Math.max(28, 11 * groups.length));
  const series = groups.flatMap(({ name, values }, group): SeriesOption[] => {
    const color = colorOf(group);
    const dots = { type: 'scatter' as const, silent: true, color };
    const seeds = values.flatMap((own, category) => own.map((value) => [value, place(category, group)]));
    const means = values.flatMap((own, category) => own.length === 0 ? [] : [[own.reduce((a, b) => a + b, 0) / own.length, place(category, group)]]); // prettier-ignore
    return [
      { ...dots, data: seeds, symbolSize: 4, itemStyle: { color, opacity: 0.5 } },
      { ...dots, name, data: means, symbolSize: 9, itemStyle: { color } },
    ];
  });
  return renderSvg(WIDTH, height + top + 56, {
    backgroundColor: PAPER,
    title: { text: title, left: 12, top: 10, textStyle: TITLE },
    legend,
    grid: { left: 190, right: 24, top, bottom: 56 },
    xAxis: {
      ...axis(x, 30),
      type: 'value',
      scale: true,
      axisLabel: { ...TEXT, formatter: percent === true ? inPercent : inShort },
    },
    yAxis: {
      type: 'value',
      min: -0.5,
      max: categories.length - 0.5,
      interval: 0.5,
      axisLine: { show: false },
      axisTick: { show: false },
      axisLabel: {
        ...TEXT,
        formatter: (value: number) =>
          Number.isInteger(value) ? (categories[categories.length - 1 - value] ?? '') : '',
      },
      splitLine: { show: false },
      splitArea: { show: false },
    },
    series: [
      ...series,
      // Rules between the categories.
      {
        type: 'line',
        silent: true,
        data: [],
        markLine: {
          silent: true,
          symbol: 'none',
          label: { show: false },
          lineStyle: { color: RULE, type: 'solid', width: 1 },
          data: categories.slice(1).map((_, i) => ({ yAxis: i + 0.5 })),
        },
      },
    ],
  });
}

export interface HistogramPanel {
  title: string;
  values: readonly number[];
}

/** Histograms on one scale below each other. */
export function histogramFigure(panels: readonly HistogramPanel[], title: string, x: string): string {
  const all = panels.flatMap(({ values }) => values);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const bins = 40;
  const width = (high - low) / bins || 1;
  const each = 92;
  const counts = panels.map(({ values }) => {
    const heights = new Array<number>(bins).fill(0);
    for (const value of values) {
      const bin = Math.min(bins - 1, Math.floor((value - low) / width));
      heights[bin] = (heights[bin] as number) + 1;
    }
    return heights;
  });
  const option: EChartsOption = {
    backgroundColor: PAPER,
    title: [
      { text: title, left: 12, top: 10, textStyle: TITLE },
      ...panels.map((panel, i) => ({ text: panel.title, left: 64, top: 40 + i * each, textStyle: TEXT })),
    ],
    grid: panels.map((_, i) => ({ left: 64, right: 24, top: 60 + i * each, height: each - 30 })),
    xAxis: panels.map((_, i) => ({
      ...(i === panels.length - 1 ? axis(x, 28) : {}),
      gridIndex: i,
      type: 'value' as const,
      min: low,
      max: low + bins * width,
      axisLabel: { ...TEXT, show: i === panels.length - 1, formatter: inShort },
      splitLine: { show: false },
      axisTick: { show: false },
      axisLine: { lineStyle: { color: RULE } },
    })),
    yAxis: panels.map((_, i) => ({
      gridIndex: i,
      type: 'value' as const,
      splitNumber: 2,
      minInterval: 1,
      axisLabel: TEXT,
      splitLine: { lineStyle: { color: RULE } },
    })),
    series: counts.map((heights, i) => ({
      type: 'line' as const,
      step: 'middle' as const,
      silent: true,
      showSymbol: false,
      xAxisIndex: i,
      yAxisIndex: i,
      lineStyle: { color: PALETTE[0] as string, width: 1 },
      areaStyle: { color: PALETTE[0] as string, opacity: 0.55 },
      data: heights.map((height, bin) => [low + (bin + 0.5) * width, height]),
    })),
  };
  return renderSvg(WIDTH, 60 + panels.length * each + 36, option);
}

/** Features of two dimensions side by side, each plane on a scale of its own with the origin in its middle. */
export function planesFigure(planes: readonly FeaturePlane[], classes: readonly string[]): string {
  const side = 360;
  const left = (i: number): number => 12 + i * (side + 16);
  const reach = (plane: FeaturePlane): number =>
    1.06 * (Math.max(...plane.x.map(Math.abs), ...plane.y.map(Math.abs)) || 1);
  const square = (plane: FeaturePlane, i: number): object => ({
    gridIndex: i,
    type: 'value',
    min: -reach(plane),
    max: reach(plane),
    axisLine: { onZero: true, lineStyle: { color: RULE } },
    axisTick: { show: false },
    axisLabel: { show: false },
    splitLine: { show: false },
  });
  const option: EChartsOption = {
    backgroundColor: PAPER,
    title: planes.map((plane, i) => ({ text: plane.title, left: left(i), top: 10, textStyle: TITLE })),
    legend: {
      ...legendOf(classes, { itemWidth: 8, itemHeight: 8, icon: 'circle' }).legend,
      top: side + 48,
      left: 12,
    },
    grid: planes.map((_, i) => ({ left: left(i), top: 40, width: side, height: side })),
    xAxis: planes.map(square),
    yAxis: planes.map(square),
    series: planes.flatMap((plane, i) =>
      classes.map((name, label) => ({
        type: 'scatter' as const,
        name,
        xAxisIndex: i,
        yAxisIndex: i,
        // One path per class instead of one element per point.
        large: true,
        largeThreshold: 0,
        symbolSize: 3,
        silent: true,
        color: colorOf(label),
        itemStyle: { color: colorOf(label), opacity: 0.8 },
        data: plane.labels.flatMap((own, at) =>
          own === label ? [[plane.x[at] as number, plane.y[at] as number]] : [],
        ),
      })),
    ),
  };
  return renderSvg(left(planes.length) - 4, side + 96, option);
}
