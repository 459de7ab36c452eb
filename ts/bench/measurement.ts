import type { Quartiles } from './statistics';

/** What is measured, each by the file of that name. */
export const KINDS = ['layer', 'step', 'memory', 'loader', 'overhead', 'growth'] as const;

export type Kind = (typeof KINDS)[number];

/** One figure of a run. The first five fields together are unique in it. */
export interface Measurement extends Quartiles {
  readonly kind: Kind;
  /** A layer, a network, or in what work grows. */
  readonly subject: string;
  /** A pass of a layer, or what of a step. */
  readonly what: string;
  /** Who did it: `conv2d` or `SphereConv`, `plain` or `spherical`; with a peer's name before it. */
  readonly contestant: string;
  /** How much work, where that grows. */
  readonly x?: number;
  readonly unit: 'seconds' | 'bytes';
  /** Floating-point operations of the plain layer, and the bytes that it moves at least. */
  readonly flops?: number;
  readonly bytes?: number;
  /** Images in one run: images per second are this over the median. */
  readonly images?: number;
}

/** Names a measurement within a run, and the same one in other runs. */
export function keyOf({ kind, subject, what, contestant, x }: Measurement): string {
  return [kind, subject, what, contestant, ...(x === undefined ? [] : [x])].join(' | ');
}

/** A figure that is exact, or of a single run. */
export function single(value: number): Quartiles {
  return { median: value, q1: value, q3: value, runs: 1 };
}

/** Measurements by one of their names, in order of appearance. */
export function find(
  measurements: readonly Measurement[],
  wanted: Partial<Pick<Measurement, 'kind' | 'subject' | 'what' | 'contestant'>>,
): Measurement[] {
  const names = Object.entries(wanted) as [keyof typeof wanted, string][];
  return measurements.filter((each) => names.every(([name, value]) => each[name] === value));
}

/** The different values of a name, in order of appearance. */
export function distinct<T>(items: readonly T[]): T[] {
  return [...new Set(items)];
}
