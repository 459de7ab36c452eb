import type { DataConfig, RunConfig } from './config';
import type { Outcome } from './outcome';
import type { Reference } from './references';

/** `quick` is for two CPU cores and smaller than the paper's setting, which `full` is; that wants a GPU. */
export type Budget = 'quick' | 'full';

/** One training or calculation, and the place of its result in the table. */
export interface Run {
  /** For people: row, column and seed. Unique within a plan. */
  readonly name: string;
  readonly row: string;
  readonly column: string;
  readonly config: RunConfig;
}

export interface PlanOptions {
  budget: Budget;
  /** Each cell of the table is run with seeds 1 … seeds; what the budget says by default. */
  seeds?: number | undefined;
  /** Whether a folder with CIFAR-100 was given. */
  hasCifar100?: boolean | undefined;
}

export interface Plan {
  readonly runs: readonly Run[];
  /** The setting in a paragraph; for `quick`, in what it is smaller than the paper's. */
  readonly setting: string;
  /** What the plan leaves out that a reader could expect, and why. */
  readonly leftOut?: string | undefined;
}

/** A run that has ended, with its result. */
export interface FinishedRun extends Run {
  readonly outcome: Outcome;
}

/** A number that runs are compared by: one table. */
export interface Measure {
  readonly title: string;
  /** null where an outcome has no such number. */
  read(outcome: Outcome): number | null;
  /** Why it has none, in a word for the table, such as `diverged`; null where it never has, or has one. */
  absent?(outcome: Outcome): string | null;
  format(value: number): string;
}

/** An experiment of the paper as a description: what to run, and how to show what came out. */
export interface Experiment {
  /** As the command line has it. */
  readonly name: string;
  readonly title: string;
  readonly question: string;
  /** Heads the column that names the rows. */
  readonly rowTitle: string;
  /** Those that it has; both by default. */
  readonly budgets?: readonly Budget[];
  /** Folders that it cannot do without, for each budget where they are not the same. */
  readonly needs: Needs | Readonly<Record<Budget, Needs>>;
  readonly measures: readonly Measure[];
  /** Numbers to compare with, by row and column. */
  readonly references: readonly Reference[];
  /** What a reader should bear in mind. */
  readonly remarks?: readonly string[];
  plan(options: PlanOptions): Plan;
  /** SVG pictures by file name. */
  figures(runs: readonly FinishedRun[]): Readonly<Record<string, Figure>>;
}

type Needs = readonly DataConfig['source'][];

/** The folders that an experiment cannot do without. */
export function needsOf({ needs }: Experiment, budget: Budget): Needs {
  return 'full' in needs ? needs[budget] : needs;
}

export interface Figure {
  readonly svg: string;
  /** Says what is drawn, for the text below the picture. */
  readonly caption: string;
}

/** A cell of a table before it is multiplied by the seeds. */
export interface Cell {
  row: string;
  column: string;
  config: (seed: number) => RunConfig;
}

/** Every cell with every seed, seed after seed, so that an interrupted table is whole for the first seeds. */
export function crossSeeds(cells: readonly Cell[], seeds: number): Run[] {
  return Array.from({ length: seeds }, (_, i) => i + 1).flatMap((seed) =>
    cells.map(({ row, column, config }) => ({
      name: `${row}, ${column}, seed ${seed}`,
      row,
      column,
      config: config(seed),
    })),
  );
}
