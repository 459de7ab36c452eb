import { growthFigure, renderFigures, rooflineFigure } from '../../ts/bench/figures';
import { CEILINGS, FIGURES, layerFigure, syntheticResults } from './synthetic';

/** Points of a scatter series. */
const points = (svg: string | null): number => (svg ?? '').match(/<path d="M1 0A1 1/g)?.length ?? 0;

describe('the roofline', () => {
  it('has a point for each layer and kind, the ceilings and their names', () => {
    const svg = rooflineFigure(FIGURES, CEILINGS, 'an Abacus');
    expect(svg).toContain('Layers below the ceilings of an Abacus');
    for (const text of ['conv2d forward', 'SphereConv forward', 'all threads', 'one thread', 'GFLOP/s']) {
      expect(svg).toContain(text);
    }
    const more = rooflineFigure(
      [...FIGURES, layerFigure('conv2d', 'forward', 0.02, 'C')],
      CEILINGS,
      'an Abacus',
    );
    expect(points(svg)).toBeGreaterThanOrEqual(4);
    expect(points(more)).toBe(points(svg) + 1);
    expect(svg).not.toMatch(/NaN|undefined/);
  });

  it('is left out where there is no layer or no ceiling', () => {
    expect(rooflineFigure(FIGURES, null, '')).toBeNull();
    expect(rooflineFigure([], CEILINGS, '')).toBeNull();
    expect(rooflineFigure(FIGURES, { ...CEILINGS, flops: null }, '')).toBeNull();
  });
});

describe('the figure of growth', () => {
  it('has a panel for each property and quantity that was measured', () => {
    const svg = growthFigure(FIGURES);
    expect(svg).toContain('training step, ms');
    expect(svg).toContain('images in a batch');
    expect(svg).not.toContain('saved for backward');
    expect(growthFigure([])).toBeNull();
  });
});

describe('the figures of a run', () => {
  it('are those that it has something for', () => {
    expect(Object.keys(renderFigures(syntheticResults()))).toEqual(['roofline.svg', 'growth.svg']);
    expect(renderFigures(syntheticResults([]))).toEqual({});
  });
});
