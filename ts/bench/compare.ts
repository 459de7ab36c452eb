import { describeMachine } from '../experiments/machine';
import { keyOf } from './measurement';
import type { Measurement } from './measurement';
import type { BenchResults } from './results';
import { columns, size, time, times } from './words';

/** Medians closer than this are the same, however narrow the quartiles are. */
const LEAST_CHANGE = 0.02;
/** So are sizes: a process takes some more or less each time. */
const LEAST_BYTES = 4e6;

/** A figure that two runs have. */
export interface Change {
  readonly key: string;
  readonly before: Measurement;
  readonly after: Measurement;
}

export interface Comparison {
  /** Slower or larger beyond the noise, the worst first. */
  readonly worse: Change[];
  /** Faster or smaller, the most so first. */
  readonly better: Change[];
  /** How many are neither. */
  readonly same: number;
  readonly onlyBefore: string[];
  readonly onlyAfter: string[];
}

/**
 * What has changed from one run to another. A change is beyond the noise where the two boxes from first to third
 * quartile do not touch and the medians are more than 2 % apart (sizes: 4 MB besides).
 */
export function compareResults(before: BenchResults, after: BenchResults): Comparison {
  const old = new Map(before.measurements.map((each) => [keyOf(each), each]));
  const changes = after.measurements.flatMap((each): Change[] => {
    const key = keyOf(each);
    const known = old.get(key);
    return known ? [{ key, before: known, after: each }] : [];
  });
  const common = new Set(changes.map(({ key }) => key));
  const worse = changes.filter((change) => isBeyond(change.before, change.after));
  const better = changes.filter((change) => isBeyond(change.after, change.before));
  const only = ({ measurements }: BenchResults): string[] =>
    measurements.map(keyOf).filter((key) => !common.has(key));
  return {
    worse: worse.sort((a, b) => ratio(b) - ratio(a)),
    better: better.sort((a, b) => ratio(a) - ratio(b)),
    same: changes.length - worse.length - better.length,
    onlyBefore: only(before),
    onlyAfter: only(after),
  };
}

function ratio({ before, after }: Change): number {
  return after.median / before.median;
}

/** Whether `high` is more than `low` beyond the noise. */
function isBeyond(low: Measurement, high: Measurement): boolean {
  const apart = high.median - low.median;
  if (low.unit === 'bytes' && apart < LEAST_BYTES) return false;
  return high.q1 > low.q3 && apart > LEAST_CHANGE * low.median;
}

/** The comparison for a terminal. */
export function renderComparison(before: BenchResults, after: BenchResults): string {
  const { worse, better, same, onlyBefore, onlyAfter } = compareResults(before, after);
  const parts = [
    differences(before, after),
    changeLines('Slower or larger', worse),
    changeLines('Faster or smaller', better),
    [`${same} of ${same + worse.length + better.length} figures have not changed beyond the noise`],
    keyLines('Only in the first', onlyBefore),
    keyLines('Only in the second', onlyAfter),
  ];
  return parts
    .filter((lines) => lines.length > 0)
    .map((lines) => `${lines.join('\n')}\n`)
    .join('\n');
}

/** In what the runs themselves differ, as far as it makes their figures incomparable. */
function differences(before: BenchResults, after: BenchResults): string[] {
  const lines: string[] = [];
  const [first, second] = [before, after].map(({ machine }) => describeMachine(machine)) as [string, string];
  if (first !== second) lines.push(`The machines differ: ${first} and ${second}`);
  const [old, now] = [before.ceilings?.flops?.all, after.ceilings?.flops?.all];
  if (old && now && Math.abs(now.median / old.median - 1) > LEAST_CHANGE) {
    lines.push(`The second run had ${times(now.median / old.median)} the multiply-add peak of the first`);
  }
  if (before.effort !== after.effort)
    lines.push(`The first run was ${before.effort}, the second ${after.effort}`);
  return lines;
}

function changeLines(title: string, changes: readonly Change[]): string[] {
  if (changes.length === 0) return [];
  const rows = changes.map((change) => {
    const { key, before, after } = change;
    const text = before.unit === 'bytes' ? size : time;
    return [`  ${key}`, text(before.median), text(after.median), times(ratio(change))];
  });
  return [title, ...columns(rows)];
}

function keyLines(title: string, keys: readonly string[]): string[] {
  return keys.length === 0 ? [] : [title, ...keys.map((key) => `  ${key}`)];
}
