import { dotFigure, lineFigure } from './figures';
import type { Points } from './figures';
import type { Figure, FinishedRun, Measure } from './experiment';
import type { ClassifierOutcome, CurvePoint, Outcome } from './outcome';
import { groupBy } from './statistics';

/** Share of the test images that is named rightly after the last step. */
export const FINAL_ACCURACY: Measure = {
  title: 'Final test accuracy, %',
  read: (outcome) => (outcome.kind === 'classifier' ? (outcome.final?.accuracy ?? null) : null),
  absent: diverged,
  format: (share) => (100 * share).toFixed(2),
};

/** Of the last epoch: whether a network has fitted its training images. */
export const TRAINING_LOSS: Measure = {
  title: 'Training loss of the last epoch',
  read: (outcome) =>
    outcome.kind === 'classifier' && outcome.final !== null
      ? (outcome.curve.at(-1)?.trainLoss ?? null)
      : null,
  absent: diverged,
  format: (loss) => loss.toFixed(3),
};

function diverged(outcome: Outcome): string | null {
  return outcome.kind === 'classifier' && outcome.divergedAtStep !== null ? 'diverged' : null;
}

type Classified = FinishedRun & { outcome: ClassifierOutcome };

/** The runs that trained classifiers. */
export function classifiers(runs: readonly FinishedRun[]): Classified[] {
  return runs.filter((run): run is Classified => run.outcome.kind === 'classifier');
}

/** Final accuracies of a table as dots: categories are its rows, colours its columns, or the other way round. */
export function accuracyDots(
  runs: readonly FinishedRun[],
  title: string,
  categories: 'row' | 'column' = 'column',
): Figure {
  const groups = categories === 'row' ? 'column' : 'row';
  const own = classifiers(runs);
  const names = [...new Set(own.map((run) => run[categories]))];
  const dots = [...groupBy(own, (run) => run[groups])].map(([name, members]) => ({
    name,
    values: names.map((category) =>
      members
        .filter((run) => run[categories] === category)
        .flatMap(({ outcome }) => outcome.final?.accuracy ?? []),
    ),
  }));
  return {
    svg: dotFigure(names, dots, { title, x: 'final test accuracy', percent: true }),
    caption: `${title}: final test accuracy. Small dots are seeds, large ones their mean.`,
  };
}

/** Learning curves, one colour for each value of `by`. */
export function learningCurves(
  runs: readonly FinishedRun[],
  title: string,
  by: (run: FinishedRun) => string,
  what: 'testAccuracy' | 'trainLoss' = 'testAccuracy',
): Figure {
  const series = [...groupBy(classifiers(runs), by)].map(([name, own]) => ({
    name,
    lines: own.map(({ outcome }): Points =>
      outcome.curve.map((point: CurvePoint) => [point.epoch, point[what]]),
    ),
  }));
  const isAccuracy = what === 'testAccuracy';
  const y = isAccuracy ? 'test accuracy' : 'training loss';
  return {
    svg: lineFigure(series, { title, x: 'epoch', y, percent: isAccuracy }),
    caption: `${title}: ${y} after each epoch. Thin lines are seeds, thick ones their mean.`,
  };
}
