// The stage `report`: the summary into the results, and a short table on the terminal.
import { join } from 'node:path';
import { geometricMean } from '#bench/statistics';
import { readResults, resultsPath, writeResults } from './session';
import type { Session } from './session';
import { readStages, summarise } from './summary';
import type { Goal, LayerSummary, Stages } from './summary';

const times = (value: number | null, of: number | null): string =>
  (value === null || of === null ? '-' : `${(value / of).toFixed(2)}x`).padStart(7);
const us = (value: number): string => value.toFixed(1).padStart(8);

function layerTable(layers: readonly LayerSummary[]): string[] {
  if (layers.length === 0) return [];
  const head = 'N C size O k s'.padEnd(22);
  return [
    '',
    'bfloat16, microseconds (x cuDNN plain); composed: PyTorch as a graph, times SphereConv fwd+bwd',
    `${head} sphere fwd        fwd+bwd          conv fwd         fwd+bwd         composed  TFLOP/s`,
    ...layers.map(
      (l) =>
        `${l.layer.padEnd(22)}${us(l.sphereForward)}${times(l.sphereForward, l.cudnnForward)}` +
        ` ${us(l.sphereBoth)}${times(l.sphereBoth, l.cudnnBoth)}` +
        ` ${us(l.convForward)}${times(l.convForward, l.cudnnForward)}` +
        ` ${us(l.convBoth)}${times(l.convBoth, l.cudnnBoth)}` +
        ` ${times(l.composedGraph, l.sphereBoth)}${l.teraflops.sphereBoth.toFixed(0).padStart(8)}`,
    ),
  ];
}

/** What SphereNorm and ReLU cost in the forward pass, and a first layer as one op and as several. */
function fusedLines({ timings }: Stages): string[] {
  const rows = Object.values(timings?.data.layers ?? {}).filter(({ variant }) => variant === 'bfloat16');
  if (rows.length === 0) return [];
  const ratio = geometricMean(rows.map((row) => row.sphereRescaled.median / row.sphereForward.median));
  return [
    '',
    `bfloat16, forward with SphereNorm and ReLU in the same pass: ${ratio.toFixed(2)}x of the pass without`,
    ...rows.flatMap(({ layer, convFirst, sphereFirst, sphereFirstApart }) =>
      convFirst && sphereFirst && sphereFirstApart
        ? `${`  first layer ${layer}, fwd+bwd`.padEnd(44)}${us(sphereFirst.median)}, as ops one after the other${us(sphereFirstApart.median)}, conv2d${us(convFirst.median)}`
        : [],
    ),
  ];
}

function goalLine({ name, value, target, atLeast, count }: Goal): string {
  const bound = `${atLeast ? 'at least' : 'at most'} ${target.toFixed(1)}x`;
  if (value === null) return `  ${name.padEnd(62)} not measured (${bound})`;
  const met = atLeast ? value >= target : value <= target;
  const layers = count > 1 ? `, ${count} layers` : '';
  return `  ${name.padEnd(62)}${value.toFixed(2).padStart(6)}x  ${met ? 'met' : 'MISSED'} (${bound}${layers})`;
}

function stepLines({ steps, peers }: Stages): string[] {
  const own = Object.entries(steps?.data.steps ?? {}).map(
    ([name, { timing, imagesPerSecond }]) =>
      `  ${name.padEnd(44)}${(timing.median / 1e3).toFixed(2).padStart(8)} ms ${imagesPerSecond.toFixed(0).padStart(8)} images/s`,
  );
  const theirs = Object.values(peers?.data.torchFigures ?? {})
    .filter(({ item }) => item.startsWith('CNN-9'))
    .map(({ item, eager, graph, error }) => {
      const text = (value: number | undefined): string =>
        value === undefined ? '-'.padStart(8) : (value / 1e3).toFixed(2).padStart(8);
      return `  ${`PyTorch ${item}`.padEnd(44)}${error ?? `${text(eager)} ms, as a graph ${text(graph)} ms`}`;
    });
  return own.length + theirs.length > 0 ? ['', 'training steps', ...own, ...theirs] : [];
}

function proof({ environment, parity, sanitizer, training }: Stages): string[] {
  const lines: string[] = [];
  if (environment) {
    const { gpu, smi, date } = environment.data;
    lines.push(`${gpu}, driver ${smi?.['driver_version'] ?? 'unknown'}, ${date}`);
  }
  if (parity) {
    const { fixtures, randomCases, failureCount, failures, done, total } = parity.data;
    lines.push(
      `parity: ${fixtures} fixtures, ${randomCases} random cases (${done} of ${total} jobs), ${failureCount} failures`,
    );
    for (const { op, variant, output, seed, text, reason } of failures.slice(0, 8)) {
      lines.push(`  ${op} | ${variant} | ${output} | seed ${seed} ${text}: ${reason}`.slice(0, 220));
    }
  }
  for (const [tool, { errors, cases, failures }] of Object.entries(sanitizer?.data.tools ?? {})) {
    lines.push(`${tool}: ${errors ?? 'unknown'} errors in ${cases} cases (${failures} of them wrong)`);
  }
  if (training) {
    const { accuracy, expectedAccuracy, curves } = training.data;
    const found = accuracy === null ? 'not trained' : `${(100 * accuracy).toFixed(1)} %`;
    lines.push(`training: ${found} (at least ${(100 * expectedAccuracy).toFixed(0)} % expected)`);
    for (const [precision, curve] of Object.entries(curves)) {
      lines.push(`  losses in ${precision}: at most ${curve.worst.toExponential(1)} from the CPU's`);
    }
  }
  return lines;
}

export function report(session: Session): number {
  const stages = readStages(session.out);
  const results = readResults(session.out);
  const summary = summarise(stages, results.notes);
  results.report = summary;
  writeResults(session.out, results);
  const { environment } = stages;
  const gpu = (environment?.data.gpu ?? 'unknown')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
  const date = (environment?.data.date ?? new Date().toISOString()).slice(0, 10);
  const lines = [
    ...['', '== results', ...proof(stages), ...layerTable(summary.layers)],
    ...[...fusedLines(stages), ...stepLines(stages)],
    ...['', 'targets (geometric means)', ...summary.goals.map(goalLine)],
    ...['', 'not done, or to be known', ...summary.couldNotDo.map((text) => `  ${text}`.slice(0, 300))],
    ...[
      '',
      `all of it: ${resultsPath(session.out)}; to keep as ${join('bench', 'results', 'gpu', `${gpu}-${date}.json`)}`,
    ],
  ];
  console.log(lines.join('\n'));
  return isSound(stages) ? 0 : 1;
}

/** Whether nothing that was checked was found wrong. */
function isSound({ parity, sanitizer, training }: Stages): boolean {
  const { accuracy, expectedAccuracy } = training?.data ?? { accuracy: null, expectedAccuracy: 0 };
  return (
    (parity?.data.failureCount ?? 0) === 0 &&
    Object.values(sanitizer?.data.tools ?? {}).every(({ errors }) => (errors ?? 0) === 0) &&
    (accuracy === null || accuracy >= expectedAccuracy)
  );
}
