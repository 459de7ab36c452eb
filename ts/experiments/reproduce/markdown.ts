import { count, duration, listing } from '../report/words';
import type { Experiment, Figure, FinishedRun, Measure, Plan } from './experiment';
import { capital } from './labels';
import { PROVENANCE } from './references';
import type { Reference } from './references';
import { groupBy, summarize } from './statistics';
import type { CellSummary } from './statistics';

/** What a report says besides its results. */
export interface ReportFacts {
  version: string;
  command: string;
  /** One line for each machine that results come from. */
  machines: readonly string[];
  /** Where the images come from. */
  data: readonly string[];
  seconds: number;
}

/** The report of an experiment, in Markdown. */
export function renderMarkdown(
  experiment: Experiment,
  plan: Plan,
  runs: readonly FinishedRun[],
  figures: Readonly<Record<string, Figure>>,
  facts: ReportFacts,
): string {
  const seeds = new Set(plan.runs.map(({ config }) => config.seed)).size;
  const parts = [
    `# ${experiment.title}`,
    experiment.question,
    `**Setting.** ${plan.setting}${plan.leftOut === undefined ? '' : ` ${plan.leftOut}`}`,
    progressLine(plan, runs),
    ...experiment.measures.flatMap((measure, i) =>
      measureSection(experiment, measure, plan, runs, seeds, i === 0 ? experiment.references : []),
    ),
    ...failureSection(runs),
    ...Object.entries(figures).flatMap(([file, { caption }]) => [`![${caption}](${file})`, `*${caption}*`]),
    ...(experiment.remarks ?? []),
    '## How this came about',
    factList(facts),
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

function progressLine(plan: Plan, runs: readonly FinishedRun[]): string {
  if (runs.length === plan.runs.length) return '';
  return `**Not finished: ${count(runs.length)} of ${count(plan.runs.length)} runs have ended.**`;
}

function measureSection(
  { rowTitle }: Experiment,
  measure: Measure,
  plan: Plan,
  runs: readonly FinishedRun[],
  seeds: number,
  references: readonly Reference[],
): string[] {
  const all = summarize(measure, plan, runs);
  // Rows that another measure is for.
  const rows = [...groupBy(all, ({ row }) => row)].filter(([, cells]) =>
    cells.some(({ values, absent }) => values.length > 0 || absent.length > 0),
  );
  if (rows.length === 0) return [];
  const columns = [...new Set(rows.flatMap(([, cells]) => cells.map(({ column }) => column)))];
  const spreadNote = seeds > 1 ? `mean ± standard deviation over ${seeds} seeds` : 'one seed';
  const heading = `## ${measure.title}`;
  if (columns.length === 1 && references.length > 0) {
    return [heading, `Here: ${spreadNote}.`, besideReferences(rowTitle, measure, rows, references)];
  }
  const table = markdownTable(
    [rowTitle, ...columns],
    rows.map(([row, cells]) => [
      row,
      ...columns.map((column) =>
        cellText(
          measure,
          cells.find((cell) => cell.column === column),
        ),
      ),
    ]),
  );
  return [heading, `${capital(spreadNote)}.`, table, ...referenceTables(rowTitle, references)];
}

/** One column of results, and one of references for each provenance. */
function besideReferences(
  rowTitle: string,
  measure: Measure,
  rows: readonly (readonly [string, CellSummary[]])[],
  references: readonly Reference[],
): string {
  const sources = [...groupBy(references, ({ provenance }) => provenance)];
  const head = [rowTitle, 'Here', ...sources.map(([source]) => `Reference (${PROVENANCE[source as Reference['provenance']]})`)]; // prettier-ignore
  return markdownTable(
    head,
    rows.map(([row, cells]) => [
      row,
      cellText(measure, cells[0]),
      ...sources.map(([, own]) => referenceText(own.find((reference) => reference.row === row))),
    ]),
  );
}

function referenceTables(rowTitle: string, references: readonly Reference[]): string[] {
  return [...groupBy(references, ({ provenance }) => provenance)].flatMap(([source, own]) => {
    const columns = [...new Set(own.map(({ column }) => column))];
    const rows = [...groupBy(own, ({ row }) => row)];
    const table = markdownTable(
      [rowTitle, ...columns],
      rows.map(([row, cells]) => [
        row,
        ...columns.map((column) => referenceText(cells.find((cell) => cell.column === column))),
      ]),
    );
    return [`Reference: the paper's setting (${PROVENANCE[source as Reference['provenance']]}).`, table];
  });
}

function referenceText(reference: Reference | undefined): string {
  return reference === undefined ? '–' : reference.value.toFixed(2);
}

/** "61.2 ± 0.4", and what is to be said if not all seeds have a number. */
export function cellText(measure: Measure, cell: CellSummary | undefined): string {
  if (cell === undefined) return '–';
  const { spread, absent, missing } = cell;
  const remarks = [
    ...[...groupBy(absent, (word) => word)].map(([word, runs]) => `${runs.length} ${word}`),
    ...(missing > 0 ? [`${missing} not run`] : []),
  ];
  if (spread === null) return remarks.join(', ') || '–';
  const { mean, deviation } = spread;
  const number = `${measure.format(mean)}${deviation === null ? '' : ` ± ${measure.format(deviation)}`}`;
  return remarks.length === 0 ? number : `${number} (${remarks.join(', ')})`;
}

function failureSection(runs: readonly FinishedRun[]): string[] {
  const lines = runs.flatMap(({ name, outcome }) =>
    outcome.kind === 'classifier' && outcome.divergedAtStep !== null
      ? [`- ${name}: the loss became NaN or infinite at step ${outcome.divergedAtStep}`]
      : [],
  );
  return lines.length === 0 ? [] : ['## Runs that diverged', lines.join('\n')];
}

function factList({ version, command, machines, data, seconds }: ReportFacts): string {
  return [
    `- command: \`${command}\``,
    `- spherenet ${version}; ${machines.join('; ')}`,
    ...(data.length === 0 ? [] : [`- images: ${listing(data)}`]),
    `- time of all runs together: ${duration(seconds)}`,
    '- all numbers: `results.json`; each run by itself: `runs/`',
  ].join('\n');
}

/** A table whose first column is text and whose others are numbers. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replace(/\|/g, '\\|')).join(' | ')} |`;
  const rule = `| ${head.map((_, i) => (i === 0 ? '---' : '---:')).join(' | ')} |`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}
