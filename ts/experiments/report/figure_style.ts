// How figures that stand by themselves look: axes, legends, colours and numbers.

/** Figures stand in Markdown on whatever page, so they bring their paper and plain colours. */
export const PAPER = '#ffffff';
export const INK = '#22262b';
export const QUIET = '#646b73';
export const RULE = '#dcdcd6';
export const PALETTE = [
  ...['#2f6690', '#d1691e', '#2a9d8f', '#c0504d', '#7d5ba6'],
  ...['#8a9a2b', '#e9a13b', '#3fa7d6', '#8c6d46', '#6c7680'],
];
export const TEXT = { color: QUIET, fontFamily: 'system-ui, sans-serif', fontSize: 12 };
export const TITLE = { ...TEXT, color: INK, fontSize: 14, fontWeight: 600 as const };
export const WIDTH = 760;

/** A legend below the title; its gaps leave room for readers whose font is wider than the renderer thinks. */
export function legendOf(names: readonly string[], symbol: LegendSymbol): { legend: object; height: number } {
  const longest = Math.max(...names.map((name) => name.length));
  const itemGap = 24;
  const columns = Math.max(1, Math.floor((WIDTH - 84) / (6 * longest + symbol.itemWidth + itemGap)));
  const legend = { top: 36, left: 60, right: 20, itemGap, ...symbol, textStyle: TEXT };
  return { legend, height: 14 + 38 * (Math.ceil(names.length / columns) - 1) };
}

export interface LegendSymbol {
  itemWidth: number;
  itemHeight: number;
  icon: string;
}

export function axis(name: string, gap: number): object {
  return {
    name,
    nameLocation: 'middle',
    nameGap: gap,
    nameTextStyle: TEXT,
    axisLabel: { ...TEXT, formatter: inShort },
    axisLine: { lineStyle: { color: RULE } },
    axisTick: { show: false },
    splitLine: { lineStyle: { color: RULE } },
  };
}

export function colorOf(index: number): string {
  return PALETTE[index % PALETTE.length] as string;
}

export function inPercent(value: number): string {
  return `${Number((100 * value).toPrecision(3))} %`;
}

/** Numbers of any size in few characters. */
export function inShort(value: number): string {
  if (value === 0) return '0';
  return Math.abs(value) >= 1e5 || Math.abs(value) < 1e-3
    ? value.toExponential(0)
    : String(Number(value.toPrecision(4)));
}
