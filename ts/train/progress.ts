import { Presets, SingleBar } from 'cli-progress';
import type { EpochRecord } from './history';

/** Where a training stands after a step. */
export interface Progress {
  /** Steps done and to do in all. */
  step: number;
  steps: number;
  /** The epoch it is in, and how many there will be. */
  epoch: number;
  epochs: number;
  /** Means over the epoch so far. */
  loss: number;
  accuracy: number;
  /** Of the epoch so far. */
  imagesPerSecond: number;
  /** Expected, evaluations left out. */
  secondsLeft: number;
}

/** Shows a training to a person. */
export interface Reporter {
  step(progress: Progress): void;
  epoch(record: EpochRecord, progress: Progress): void;
  stop(): void;
}

/** A bar on a terminal, a line per epoch elsewhere, nothing where it is not wanted. */
export function createReporter(wanted: boolean, stream: NodeJS.WriteStream = process.stdout): Reporter {
  if (!wanted) return { step: () => undefined, epoch: () => undefined, stop: () => undefined };
  return stream.isTTY ? new BarReporter(stream) : new LineReporter(stream);
}

class BarReporter implements Reporter {
  private readonly bar: SingleBar;
  private started = false;
  private tested = '';

  constructor(stream: NodeJS.WriteStream) {
    this.bar = new SingleBar(
      {
        stream,
        // 80 columns, most wanted first: a narrow terminal cuts off the end.
        format: 'epoch {epoch} [{bar}] {text}',
        barsize: 10,
        fps: 5,
        // Ctrl-C belongs to the program, which can abort the training.
        gracefulExit: false,
      },
      Presets.legacy,
    );
  }

  step(progress: Progress): void {
    const payload = { epoch: `${progress.epoch}/${progress.epochs}`, text: this.text(progress) };
    if (!this.started) this.bar.start(progress.steps, 0, payload);
    this.started = true;
    this.bar.update(progress.step, payload);
  }

  epoch(record: EpochRecord, progress: Progress): void {
    if (record.evalAccuracy !== null) this.tested = ` | test ${percent(record.evalAccuracy)}`;
    this.step(progress);
  }

  stop(): void {
    if (this.started) this.bar.stop();
  }

  private text(progress: Progress): string {
    const left = `${duration(progress.secondsLeft)} left`;
    return `${left} | ${measures(progress, 3)} | ${Math.round(progress.imagesPerSecond)} images/s${this.tested}`;
  }
}

class LineReporter implements Reporter {
  constructor(private readonly stream: NodeJS.WritableStream) {}

  step(): void {
    // A log file is no place for a line per step.
  }

  epoch(record: EpochRecord, progress: Progress): void {
    const { evalLoss, evalAccuracy } = record;
    const tested =
      evalLoss === null || evalAccuracy === null
        ? ''
        : ` | test loss ${evalLoss.toFixed(4)} | test accuracy ${percent(evalAccuracy)}`;
    this.stream.write(
      `epoch ${progress.epoch}/${progress.epochs} | ${measures(progress)}${tested} | ${speed(progress)}\n`,
    );
  }

  stop(): void {
    // Every line is complete as it is.
  }
}

function measures({ loss, accuracy }: Progress, digits = 4): string {
  return `loss ${loss.toFixed(digits)} | accuracy ${percent(accuracy)}`;
}

function speed({ imagesPerSecond, secondsLeft }: Progress): string {
  return `${Math.round(imagesPerSecond)} images/s | ${duration(secondsLeft)} left`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** "42 s", "3 min 07 s", "2 h 15 min" */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number): string => String(value).padStart(2, '0');
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}
