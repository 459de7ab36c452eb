/** "4.02 ms", "1.30 s", "3.1 µs": three digits, as far as that says something. */
export function time(seconds: number): string {
  if (seconds >= 1) return `${digits(seconds)} s`;
  return seconds >= 1e-3 ? `${digits(seconds * 1e3)} ms` : `${digits(seconds * 1e6)} µs`;
}

/** "163 MB", "1.2 GB" */
export function size(bytes: number): string {
  const [value, unit] = [
    [bytes / 1e9, 'GB'],
    [bytes / 1e6, 'MB'],
    [bytes / 1e3, 'kB'],
    [bytes, 'B'],
  ].find(([scaled]) => Math.abs(scaled as number) >= 1) ?? [0, 'B'];
  return `${unit === 'B' ? String(value) : digits(value as number)} ${unit}`;
}

/** "1.08x" */
export function times(ratio: number): string {
  return `${ratio.toFixed(2)}x`;
}

/** "86 %" */
export function share(part: number): string {
  return `${(100 * part).toFixed(0)} %`;
}

function digits(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

/** Lines of cells below each other; the first columns to the left, the others to the right. */
export function columns(rows: readonly (readonly string[])[], leftColumns = 1): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  }
  return rows.map((row) =>
    row
      .map((cell, i) => (i < leftColumns ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}
