import type { TypedArray } from '../core/dtype';
import { fail } from '../core/errors';

/** The place of the largest value of each row; the first of equals. A row with NaN gives the first NaN's place. */
export function argmaxRows(values: TypedArray, columns: number): Int32Array {
  const places = new Int32Array(values.length / columns);
  for (let row = 0; row < places.length; ++row) {
    const start = row * columns;
    let best = 0;
    for (let column = 1; column < columns; ++column) {
      const value = values[start + column] as number;
      const top = values[start + best] as number;
      if (value > top || (Number.isNaN(value) && !Number.isNaN(top))) best = column;
    }
    places[row] = best;
  }
  return places;
}

/** How many predictions equal their label. */
export function countCorrect(predictions: Int32Array, labels: TypedArray): number {
  if (predictions.length !== labels.length) {
    fail('countCorrect', 'labels', `${predictions.length} values, one per prediction`, `${labels.length}`);
  }
  let correct = 0;
  for (let i = 0; i < labels.length; ++i) correct += predictions[i] === labels[i] ? 1 : 0;
  return correct;
}

/** Counts of predictions: `counts[label][prediction]`. */
export class ConfusionMatrix {
  readonly counts: number[][];

  constructor(readonly classes: number) {
    this.counts = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  }

  add(predictions: Int32Array, labels: TypedArray): void {
    for (let i = 0; i < labels.length; ++i) {
      const row = this.counts[labels[i] as number];
      const prediction = predictions[i] as number;
      if (row === undefined || prediction >= this.classes) {
        fail('ConfusionMatrix', 'labels', `from 0 to ${this.classes - 1}`, `${labels[i]} at index ${i}`);
      }
      row[prediction] = (row[prediction] as number) + 1;
    }
  }

  /** Share of predictions that equal their label; NaN where there are none. */
  get accuracy(): number {
    let correct = 0;
    let total = 0;
    this.counts.forEach((row, label) => {
      correct += row[label] as number;
      total += row.reduce((a, b) => a + b, 0);
    });
    return correct / total;
  }
}

/** A mean of values that stand for different numbers of images; NaN where there are none. */
export class WeightedMean {
  private total = 0;
  private weights = 0;

  add(value: number, weight: number): void {
    this.total += value * weight;
    this.weights += weight;
  }

  get weight(): number {
    return this.weights;
  }

  get mean(): number {
    return this.total / this.weights;
  }
}
