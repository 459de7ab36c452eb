/**
 * Where a number to compare with comes from. `recalled`: from memory of the published paper, not read again. `logs`:
 * computed from the training logs that the authors published (github.com/wy1iu/SphereNet), their last value.
 */
export type Provenance = 'recalled' | 'logs';

export interface Reference {
  readonly row: string;
  readonly column: string;
  /** In the unit of the experiment's first measure. */
  readonly value: number;
  readonly provenance: Provenance;
}

/** How a report names a provenance. */
export const PROVENANCE: Readonly<Record<Provenance, string>> = {
  recalled: 'recalled, not verified',
  logs: "authors' logs, single seed",
};

/** References from a table: one list of values per row, in the order of `columns`. */
export function referenceTable(
  provenance: Provenance,
  columns: readonly string[],
  rows: Readonly<Record<string, readonly number[]>>,
): Reference[] {
  return Object.entries(rows).flatMap(([row, values]) =>
    values.map((value, i) => ({ row, column: columns[i] as string, value, provenance })),
  );
}
