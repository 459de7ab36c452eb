import type { FinishedRun, Measure, Plan } from './experiment';

/** A mean over seeds. */
export interface Spread {
  count: number;
  mean: number;
  /** Standard deviation of a sample (n − 1); null for a single value. */
  deviation: number | null;
}

/** A cell of a table. */
export interface CellSummary {
  row: string;
  column: string;
  /** null where no run has given a number. */
  spread: Spread | null;
  values: number[];
  /** Why runs have no number, a word for each, such as `diverged`. */
  absent: string[];
  /** Runs of the plan that have not ended. */
  missing: number;
}

/** Mean and standard deviation; null for no values. */
export function spread(values: readonly number[]): Spread | null {
  const count = values.length;
  if (count === 0) return null;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  if (count === 1) return { count, mean, deviation: null };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { count, mean, deviation: Math.sqrt(squares / (count - 1)) };
}

/** The runs of each cell of a plan put together, in the order of the plan. */
export function summarize(measure: Measure, plan: Plan, finished: readonly FinishedRun[]): CellSummary[] {
  const cells = new Map<string, { row: string; column: string; planned: number }>();
  for (const { row, column } of plan.runs) {
    const key = JSON.stringify([row, column]);
    const cell = cells.get(key) ?? { row, column, planned: 0 };
    cell.planned += 1;
    cells.set(key, cell);
  }
  return [...cells.values()].map(({ row, column, planned }) => {
    const own = finished.filter((run) => run.row === row && run.column === column);
    const values = own.map(({ outcome }) => measure.read(outcome)).filter((value) => value !== null);
    const absent = own
      .map(({ outcome }) => measure.absent?.(outcome) ?? null)
      .filter((word) => word !== null);
    return { row, column, values, spread: spread(values), absent, missing: planned - own.length };
  });
}

/** Runs by one of their names, in order of appearance. */
export function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const name = key(item);
    const group = groups.get(name);
    if (group) group.push(item);
    else groups.set(name, [item]);
  }
  return groups;
}
