import { renderTable, summarizeLayers } from '../../ts/bench/table';
import { columns, share, size, time, times } from '../../ts/bench/words';
import { CEILINGS, FIGURES, layerFigure, syntheticResults } from './synthetic';

describe('the table', () => {
  const lines = renderTable(syntheticResults())
    .split('\n')
    .map((line) => line.replace(/ +/g, ' ').trim());

  it('shows ceilings, medians, ratios and shares of the ceiling', () => {
    expect(lines.slice(0, 2)).toEqual([
      'multiply-adds in registers: 200 GFLOP/s, one thread 100',
      'memory, read and written: 40.0 GB/s, one thread 30.0',
    ]);
    expect(lines).toContain('A conv2d 6.25 ms 80 % - - -');
    expect(lines).toContain('SphereConv 7.50 ms 1.20x - - -');
    expect(lines).toContain('B conv2d 10.0 ms 50 % - - -');
  });

  it('puts all layers together', () => {
    // 10 ms of 16.25 ms; the square root of 1.2.
    expect(lines).toContain('conv2d 62 % of the ceiling - - -');
    expect(lines).toContain('SphereConv 1.10x, 57 % of the ceiling - - -');
  });

  it('shows everything else that was measured, and what was not', () => {
    expect(lines).toContain('CNN-9, batch 64 plain 320 ms 200.0 images/s');
    expect(lines).toContain('CNN-9, batch 64 spherical 640 ms 2.00x 100.0 images/s');
    expect(lines).toContain('CNN-9, batch 64 spherical 326 MB');
    expect(lines).toContain('data.loader batch 128 as they are 1,000,000 images/s');
    expect(lines).toContain('add 3.21 µs');
    expect(lines).toContain(
      'images in a batch training step 8 to 32 8.00 ms to 32.0 ms 0 % off a straight line',
    );
    expect(lines).toContain('memory ResNet-18, batch 8: no memory');
  });

  it('leaves out what a filter has left out', () => {
    const results = {
      ...syntheticResults(FIGURES.filter(({ kind }) => kind === 'loader')),
      notes: [],
      ceilings: null,
    };
    expect(renderTable(results).split('\n').filter(Boolean)).toHaveLength(2);
  });
});

describe('summarizeLayers', () => {
  it('compares over the layers that both have, and knows no share without ceilings', () => {
    const figures = [
      layerFigure('conv2d', 'whole', 2),
      layerFigure('peer', 'whole', 8),
      layerFigure('peer', 'whole', 5, 'only the peer has it'),
    ];
    expect(summarizeLayers(figures, null)).toEqual([
      { contestant: 'conv2d', pass: 'whole', ratio: null, ofCeiling: null, layers: 1 },
      {
        contestant: 'peer',
        pass: 'whole',
        ratio: expect.closeTo(4, 9) as number,
        ofCeiling: null,
        layers: 2,
      },
    ]);
  });

  it('holds a layer that computes little against the memory', () => {
    const copying = { ...layerFigure('conv2d', 'whole', 4e-3), flops: 1e6, bytes: 8e7 };
    expect(summarizeLayers([copying], CEILINGS)[0]?.ofCeiling).toBeCloseTo(0.5, 9);
  });
});

describe('words', () => {
  it('have three digits and a unit that suits them', () => {
    expect([1.234, 0.5678, 0.0123, 0.00123, 4.56e-6].map(time)).toEqual([
      ...['1.23 s', '568 ms', '12.3 ms', '1.23 ms', '4.56 µs'],
    ]);
    expect([1.5e9, 163e6, 1234, 12, 0, -2e6].map(size)).toEqual([
      ...['1.50 GB', '163 MB', '1.23 kB', '12 B', '0 B', '-2.00 MB'],
    ]);
    expect([times(1.1), share(0.876)]).toEqual(['1.10x', '88 %']);
  });

  it('stand below each other', () => {
    expect(
      columns([
        ['a', '1'],
        ['bbb', '22'],
      ]),
    ).toEqual(['a     1', 'bbb  22']);
  });
});
