import { elements, flops, label, layersFor, leastBytes, makeLayer, outputSize } from '../../ts/bench/layers';

describe('the layer table', () => {
  it('has the layers that all benchmarks and peers share', () => {
    expect(layersFor('cpu').map(label)).toEqual([
      'CNN-9 64x3x32x32 → 64 k3',
      'CNN-9 64x64x32x32 → 64 k3',
      'CNN-9 64x64x16x16 → 96 k3',
      'CNN-9 64x96x16x16 → 96 k3',
      'CNN-9 64x96x8x8 → 128 k3',
      'CNN-9 64x128x8x8 → 128 k3',
      'ResNet-32 32x96x32x32 → 96 k3',
      'ResNet-32 32x96x32x32 → 192 k3 s2',
      'ResNet-32 32x192x16x16 → 192 k3',
      'ResNet-32 32x384x8x8 → 384 k3',
      'ResNet-18 8x64x56x56 → 64 k3',
      'ResNet-18 8x128x28x28 → 128 k3',
      'ResNet-18 8x256x14x14 → 256 k3',
      'ResNet-18 8x512x7x7 → 512 k3',
      '1x1 8x256x56x56 → 64 k1',
      '5x5 32x32x28x28 → 64 k5',
    ]);
  });

  it('gives a GPU four times the batch', () => {
    const [cpu, cuda] = [layersFor('cpu'), layersFor('cuda')];
    expect(cuda.map(({ batch }) => batch)).toEqual(cpu.map(({ batch }) => 4 * batch));
    expect(cuda.map((layer, i) => ({ ...layer, batch: cpu[i]?.batch }))).toEqual(cpu);
  });
});

describe('the work of a layer', () => {
  // 2 images of 5x5 with 3 channels, 4 filters of 3x3, stride 2: 3x3 positions.
  const layer = makeLayer(['hand', 2, 3, 5, 4, 3, 2]);

  it('is what one counts by hand', () => {
    expect(outputSize(layer)).toBe(3);
    expect(elements(layer)).toEqual({ x: 2 * 25 * 3, y: 2 * 9 * 4, w: 4 * 9 * 3 });
    // A multiplication and an addition for each of 27 taps of 72 outputs.
    expect(flops(layer)).toBe(2 * 27 * 72);
    expect(flops(layer, 'data gradient')).toBe(flops(layer));
    expect(flops(layer, 'whole')).toBe(3 * flops(layer));
    expect(leastBytes(layer, 'forward')).toBe(4 * (150 + 72 + 108));
    expect(leastBytes(layer, 'whole', 2)).toBe(3 * 2 * (150 + 72 + 108));
  });

  it('keeps the size with padding and stride 1', () => {
    for (const kernel of [1, 3, 5]) expect(outputSize(makeLayer(['hand', 1, 1, 7, 1, kernel]))).toBe(7);
  });
});
