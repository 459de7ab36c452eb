import type { EChartsOption } from 'echarts';
import type { FeaturePlane } from '../results';
import type { TrainingHistory } from '../../train';
import { trusted } from './html';
import type { Markup } from './html';
import { renderSvg } from './svg';

/**
 * Colours are names of the page's custom properties, so that the charts follow its light and dark schemes: the SVG
 * renderer writes them out as they are.
 */
const INK = 'var(--ink)';
const QUIET = 'var(--quiet)';
const RULE = 'var(--rule)';
const TRAIN = 'var(--blue)';
const TEST = 'var(--orange)';
const FONT = 'system-ui, sans-serif';

/** The page's colour of a class. */
export function classColor(label: number): string {
  return `var(--class-${label % 10})`;
}

/** Loss of every step with its running mean, and of the test images after each epoch. */
export function lossChart(history: TrainingHistory): Markup {
  const means = smooth(history.steps.map(({ loss }) => loss));
  // The first steps are far above all others; where they end is where the scale does.
  const top = means[Math.floor(means.length / 20)] ?? 0;
  const tested = history.epochs.map(({ evalLoss }) => evalLoss ?? 0);
  return curves(history, 'loss', 'Loss', {
    min: 0,
    max: niceAbove(Math.max(top, ...tested)),
    format: String,
  });
}

/** The same for the share of images that are named rightly. */
export function accuracyChart(history: TrainingHistory): Markup {
  const lowest = history.epochs.reduce((low, { evalAccuracy }) => Math.min(low, evalAccuracy ?? 1), 1);
  return curves(history, 'accuracy', 'Accuracy', {
    min: Math.max(0, Math.floor((lowest - 0.15) * 10) / 10),
    max: 1,
    format: (value) => `${Math.round(100 * value)} %`,
  });
}

/** The images of a feature plane as points, both axes on one scale, the origin in the middle. */
export function planeChart(plane: FeaturePlane, classes: number): Markup {
  const farthest = plane.x.reduce(
    (far, x, i) => Math.max(far, Math.abs(x), Math.abs(plane.y[i] as number)),
    0,
  );
  const reach = 1.06 * (farthest || 1);
  const axis = {
    type: 'value' as const,
    min: -reach,
    max: reach,
    splitNumber: 4,
    axisLine: { onZero: true, lineStyle: { color: RULE } },
    axisTick: { show: false },
    axisLabel: { show: false },
    splitLine: { show: false },
  };
  return draw(480, 480, {
    grid: { left: 8, right: 8, top: 8, bottom: 8 },
    xAxis: axis,
    yAxis: axis,
    series: Array.from({ length: classes }, (_, label) => ({
      type: 'scatter' as const,
      // One path per class instead of one element per point.
      large: true,
      largeThreshold: 0,
      symbolSize: 3.2,
      itemStyle: { color: classColor(label), opacity: 0.8 },
      emphasis: { disabled: true },
      silent: true,
      data: plane.labels.flatMap((own, i) =>
        own === label ? [[plane.x[i] as number, plane.y[i] as number]] : [],
      ),
    })),
  });
}

interface Scale {
  min: number;
  max: number;
  format: (value: number) => string;
}

function curves(
  history: TrainingHistory,
  measure: 'loss' | 'accuracy',
  title: string,
  { min, max, format }: Scale,
): Markup {
  const values = history.steps.map((step) => step[measure]);
  const perEpoch = history.steps.length / Math.max(1, history.epochs.length);
  const place = (i: number): number => (i + 1) / perEpoch;
  const tested = history.epochs.flatMap((epoch) => {
    const value = measure === 'loss' ? epoch.evalLoss : epoch.evalAccuracy;
    return value === null ? [] : [[epoch.epoch, value]];
  });
  const text = { color: QUIET, fontFamily: FONT, fontSize: 12 };
  const line = { type: 'line' as const, showSymbol: false, silent: true, emphasis: { disabled: true } };
  return draw(480, 300, {
    title: {
      text: title,
      left: 0,
      top: 0,
      textStyle: { ...text, color: INK, fontSize: 14, fontWeight: 600 },
    },
    grid: { left: 44, right: 12, top: 40, bottom: 40 },
    xAxis: {
      type: 'value',
      min: 0,
      max: Math.max(1, history.epochs.length),
      minInterval: 1,
      name: 'epoch',
      nameLocation: 'middle',
      nameGap: 24,
      nameTextStyle: text,
      axisLabel: text,
      axisLine: { lineStyle: { color: RULE } },
      axisTick: { show: false },
      splitLine: { show: false },
    },
    yAxis: {
      type: 'value',
      min,
      max,
      splitNumber: 4,
      axisLabel: { ...text, formatter: format },
      splitLine: { lineStyle: { color: RULE } },
    },
    series: [
      {
        ...line,
        data: thin(values.map((value, i) => [place(i), value])),
        lineStyle: { color: TRAIN, width: 0.8, opacity: 0.35 },
      },
      {
        ...line,
        data: thin(smooth(values).map((value, i) => [place(i), value])),
        lineStyle: { color: TRAIN, width: 2 },
      },
      {
        ...line,
        data: tested,
        showSymbol: true,
        symbol: 'circle',
        symbolSize: 6,
        itemStyle: { color: TEST },
        lineStyle: { color: TEST, width: 1.5 },
      },
    ],
  });
}

/** The picture scales with the width of the page. */
function draw(width: number, height: number, option: EChartsOption): Markup {
  const svg = renderSvg(width, height, option);
  return trusted(svg.replace(/<svg [^>]*>/, `<svg viewBox="0 0 ${width} ${height}" aria-hidden="true">`));
}

/** Exponential mean over some twenty steps, without the pull of where it started. */
export function smooth(values: readonly number[], decay = 0.95): number[] {
  let sum = 0;
  let weight = 0;
  return values.map((value) => {
    sum = decay * sum + (1 - decay) * value;
    weight = decay * weight + (1 - decay);
    return sum / weight;
  });
}

/** At most some 600 of the points, evenly chosen, the last among them: more than that no eye tells apart. */
function thin<T>(points: readonly T[]): T[] {
  const stride = Math.max(1, Math.floor(points.length / 600));
  return points.filter((_, i) => (points.length - 1 - i) % stride === 0);
}

/** The next of 1, 1.5, 2, 3, 4, 5, 6, 8, 10 times a power of ten. */
function niceAbove(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((factor) => factor * power >= value) ?? 10;
  return step * power;
}
