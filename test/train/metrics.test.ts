import { argmaxRows, ConfusionMatrix, countCorrect } from '../../ts/train';

describe('argmaxRows', () => {
  it('finds the first largest value of each row', () => {
    const values = Float32Array.of(1, 3, 2, /**/ 5, 5, 4, /**/ -3, -2, -1);
    expect([...argmaxRows(values, 3)]).toEqual([1, 0, 2]);
  });

  it('does not call a row with NaN a prediction of the first class', () => {
    expect([...argmaxRows(Float64Array.of(1, NaN, 2, /**/ NaN, 1, 2), 3)]).toEqual([1, 0]);
  });
});

describe('countCorrect', () => {
  it('counts predictions that equal their label', () => {
    expect(countCorrect(Int32Array.of(0, 1, 2), Int32Array.of(0, 2, 2))).toBe(2);
  });

  it('refuses lists of different lengths', () => {
    expect(() => countCorrect(Int32Array.of(0), Int32Array.of(0, 1))).toThrow(
      'countCorrect: labels must be 1 values, one per prediction, got 2',
    );
  });
});

describe('ConfusionMatrix', () => {
  it('counts label by prediction over several batches', () => {
    const matrix = new ConfusionMatrix(3);
    expect(matrix.accuracy).toBeNaN();
    matrix.add(Int32Array.of(0, 1, 1), Int32Array.of(0, 1, 2));
    matrix.add(Int32Array.of(2), Int32Array.of(2));
    expect(matrix.counts).toEqual([
      [1, 0, 0],
      [0, 1, 0],
      [0, 1, 1],
    ]);
    expect(matrix.accuracy).toBe(0.75);
  });

  it('refuses labels out of range', () => {
    expect(() => new ConfusionMatrix(2).add(Int32Array.of(0), Int32Array.of(2))).toThrow(
      'ConfusionMatrix: labels must be from 0 to 1, got 2 at index 0',
    );
  });
});
