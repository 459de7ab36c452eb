import sharp from 'sharp';
import {
  dotFigure,
  histogramFigure,
  lineFigure,
  meanLine,
  planesFigure,
} from '../../../ts/experiments/reproduce/figures';
import { syntheticResults } from '../synthetic';

/** What an SVG file looks like to a reader of XML; throws where it is none. */
async function size(svg: string): Promise<[number, number]> {
  const { format, width, height } = await sharp(Buffer.from(svg)).metadata();
  expect(format).toBe('svg');
  return [width, height];
}

describe('figures', () => {
  const line = (scale: number): [number, number][] => [[1, scale], [2, 2 * scale], [4, 0]]; // prettier-ignore

  it('are SVG files with plain colours and their texts', async () => {
    const lines = lineFigure(
      [
        { name: 'Sigmoid <0.3> & more', lines: [line(1), line(3)] },
        { name: 'one seed', lines: [line(2)] },
        { name: 'nothing', lines: [] },
      ],
      { title: 'Curves', x: 'epoch', y: 'loss', log: { y: true } },
    );
    const dots = dotFigure(
      ['Softmax', 'GA-Softmax'],
      [
        { name: 'Cosine', values: [[0.5, 0.6], [0.7]] },
        { name: 'Linear', values: [[], [0.4]] },
      ],
      { title: 'Table', x: 'accuracy', percent: true },
    );
    const histograms = histogramFigure(
      [
        { title: 'Conv1', values: [0.1, 0.2, 0.2, 0.9] },
        { title: 'Conv2', values: [0.5] },
      ],
      'Curvature',
      'k',
    );
    const { featurePlanes, data } = syntheticResults();
    const planes = planesFigure(featurePlanes, data.classes);
    for (const svg of [lines, dots, histograms, planes]) {
      const [width, height] = await size(svg);
      expect(width).toBeGreaterThanOrEqual(700);
      expect(height).toBeGreaterThan(150);
      expect(svg).not.toContain('var(--');
      expect(svg).not.toContain('NaN');
    }
    expect(lines).toContain('Sigmoid &lt;0.3&gt; &amp; more');
    expect(dots).toContain('GA-Softmax');
    expect(dots).toMatch(/\d %</);
    expect(histograms).toContain('Conv2');
    expect(planes).toContain('Plain CNN, softmax');
  });

  it('mean lines reach as far as all lines do', () => {
    expect(meanLine([line(1), line(3).slice(0, 2)])).toEqual([[1, 2], [2, 4]]); // prettier-ignore
    expect(meanLine([[[1, 1]], [[1, 100]]], true)[0]?.[1]).toBeCloseTo(10, 12);
    expect(meanLine([])).toEqual([]);
  });
});
