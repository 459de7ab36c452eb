import { duration } from '../report/words';
import { formatJson, writeFiles } from '../report/write';
import { describeMachine, thisMachine } from '../machine';
import { Checkpoint } from './checkpoint';
import { trainingImages } from './config';
import { execute } from './execute';
import type { Budget, Experiment, FinishedRun, Plan, Run } from './experiment';
import type { DataShelf } from './load_data';
import { renderMarkdown } from './markdown';
import type { Outcome } from './outcome';
import { summarize } from './statistics';
import { runId, RunStore } from './store';
import type { RunRecord } from './store';
import { join } from 'node:path';

export interface ReproduceOptions {
  budget: Budget;
  /** Where `<experiment>/` is made. */
  out: string;
  shelf: DataShelf;
  /** Runs whose name contains this, in any case, are done; all by default. The report shows all that have ended. */
  only?: string | undefined;
  command: string;
  version: string;
  withoutCuda: string;
  log: (line: string) => void;
  signal?: AbortSignal | undefined;
  /** A network in training is saved after an epoch when the last time is so long ago; 300 by default. */
  secondsBetweenCheckpoints?: number | undefined;
}

/** Where the report was written. */
export interface Written {
  markdown: string;
  json: string;
  /** Runs of the plan that have ended, and all. */
  ended: number;
  planned: number;
}

/**
 * Does the runs of a plan one after the other, each stored as soon as it ends, and writes the report. Runs that are
 * stored already are not done again. A long training is saved as it goes, and taken up after its last saved epoch.
 *
 * @throws the signal's reason when it is aborted; what the run under way did since its last checkpoint is lost, the
 *   others are stored
 */
export async function reproduce(
  experiment: Experiment,
  plan: Plan,
  options: ReproduceOptions,
): Promise<Written> {
  const { shelf, log, only } = options;
  const folder = join(options.out, experiment.name);
  const store = new RunStore(join(folder, 'runs'));
  await store.open();
  const ids = plan.runs.map((run) => ({ run, id: runId(run, shelf.describe(run.config)) }));
  const wanted = ids.filter(({ run }) => only === undefined || matches(run, only));
  if (wanted.length === 0) throw noMatch(plan, only as string);
  const stored = await Promise.all(wanted.map(({ id }) => store.read(id)));
  const open = wanted.filter((_, i) => stored[i] === null);
  const skipped = wanted.length - open.length;
  if (skipped > 0) log(`${skipped} of ${wanted.length} runs are stored in ${folder} and are not done again`);
  await runAll(open, store, options);
  return writeReport(experiment, plan, ids, store, folder, options);
}

interface NamedRun {
  run: Run;
  id: string;
}

async function runAll(open: readonly NamedRun[], store: RunStore, options: ReproduceOptions): Promise<void> {
  const { shelf, log, signal, version, withoutCuda } = options;
  const work = open.map(({ run }) => Math.max(1, trainingImages(run.config)));
  const started = performance.now();
  let done = 0;
  for (const [i, { run, id }] of open.entries()) {
    signal?.throwIfAborted();
    const checkpoint = new Checkpoint(store.checkpoint(id), options.secondsBetweenCheckpoints ?? 300);
    const outcome = await execute(run.config, shelf, { signal, log, checkpoint });
    const { name, row, column, config } = run;
    const data = shelf.describe(config);
    const created = new Date().toISOString();
    await store.write({ id, name, row, column, config, data, outcome, version, created, machine: thisMachine(withoutCuda) }); // prettier-ignore
    await checkpoint.remove();
    done += work[i] as number;
    const left = work.slice(i + 1).reduce((sum, images) => sum + images, 0);
    const remaining = ((performance.now() - started) / 1000) * (left / done);
    log(
      `${i + 1}/${open.length} ${name}: ${inWords(outcome)}${left > 0 ? `; some ${duration(remaining)} left` : ''}`,
    );
  }
}

function inWords(outcome: Outcome): string {
  const result = ((): string => {
    switch (outcome.kind) {
      case 'classifier':
        return outcome.final === null
          ? `diverged at step ${outcome.divergedAtStep}`
          : `test accuracy ${(100 * outcome.final.accuracy).toFixed(2)} %`;
      case 'featurePlane':
        return `test accuracy ${(100 * outcome.plane.accuracy).toFixed(2)} %`;
      case 'spectrum':
        return `condition number ${outcome.condition.toPrecision(5)}`;
      case 'descent':
        return `loss ${outcome.final.toExponential(2)} in the end`;
    }
  })();
  return `${result}, ${duration(outcome.seconds)}`;
}

async function writeReport(
  experiment: Experiment,
  plan: Plan,
  ids: readonly NamedRun[],
  store: RunStore,
  folder: string,
  { budget, command, version }: ReproduceOptions,
): Promise<Written> {
  const records = (await Promise.all(ids.map(({ id }) => store.read(id)))).filter(
    (record) => record !== null,
  );
  const runs: FinishedRun[] = records;
  const figures = runs.length === 0 ? {} : experiment.figures(runs);
  const facts = {
    version: distinct(records, (record) => record.version).join(', '),
    command,
    machines: distinct(records, ({ machine }) => describeMachine(machine)),
    data: distinct(records, ({ data }) => data).filter((note) => note !== null),
    seconds: runs.reduce((sum, { outcome }) => sum + outcome.seconds, 0),
  };
  const { name, title, question, references } = experiment;
  const tables = experiment.measures.map((measure) => ({
    measure: measure.title,
    cells: summarize(measure, plan, runs),
  }));
  const results = {
    ...{ experiment: name, title, question, budget, created: new Date().toISOString() },
    ...facts,
    version,
    setting: plan.setting,
    leftOut: plan.leftOut ?? null,
    references,
    tables,
    runs: records,
  };
  const svgs = Object.entries(figures).map(([file, { svg }]) => [file, svg]);
  const [markdown, json] = await writeFiles(folder, {
    'results.md': renderMarkdown(experiment, plan, runs, figures, facts),
    'results.json': formatJson(results),
    ...(Object.fromEntries(svgs) as Record<string, string>),
  });
  return {
    markdown: markdown as string,
    json: json as string,
    ended: runs.length,
    planned: plan.runs.length,
  };
}

function matches({ name }: Run, filter: string): boolean {
  return name.toLowerCase().includes(filter.toLowerCase());
}

function noMatch({ runs }: Plan, only: string): Error {
  const some = runs.slice(0, 3).map(({ name }) => `'${name}'`);
  return new Error(
    `--only ${only}: no run has this in its name; the first ${some.length} are ${some.join(', ')}`,
  );
}

function distinct<T>(records: readonly RunRecord[], read: (record: RunRecord) => T): T[] {
  return [...new Set(records.map(read))];
}
