/** How many parameters the architectures have at full width; they are made and not run. */
import { googLeNet, resNet18, resNet32, sphereCnn, vgg16 } from '../../ts/models';
import type { Module } from '../../ts/nn';

function expectCount(model: Module, count: number): void {
  const { parameterCount } = model;
  model.dispose();
  expect(parameterCount).toBe(count);
}

/** Weights of a k×k convolution. */
const conv = (kernel: number, inputs: number, outputs: number): number => kernel ** 2 * inputs * outputs;
const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

describe('sphereCnn without batch norm', () => {
  // One convolution per block, FC and classifier:
  //   27·64 + 576·96 + 864·128 + 4·4·128·256 + 256·10 = 694,464, and of the authors' widths 1,718,144;
  // each further convolution per block: 9·(64² + 96² + 128²) = 267,264, or 9·(128² + 192² + 256²) = 1,069,056.
  it.each([
    [3, 694_464, 1_718_144],
    [9, 694_464 + 2 * 267_264, 1_718_144 + 2 * 1_069_056],
    [18, 2_030_784, 7_063_424],
    [45, 4_436_160, 16_684_928],
    [60, 5_772_480, 22_030_208],
    [69, 694_464 + 22 * 267_264, 1_718_144 + 22 * 1_069_056],
  ])('CNN-%d', (depth, paper, authors) => {
    expectCount(sphereCnn({ depth, norm: 'none' }), paper);
    expectCount(sphereCnn({ depth, norm: 'none', widths: [128, 192, 256] }), authors);
  });

  const filters = 64 + 96 + 128 + 256;

  it('and ordinary layers have a bias per filter', () => {
    expectCount(sphereCnn({ depth: 3, operator: 'none', norm: 'none' }), 694_464 + filters);
  });
});

describe('what norms and curvatures add to CNN-3', () => {
  const filters = 64 + 96 + 128 + 256;

  it.each([
    ['batch', 2],
    ['sphere', 2],
    ['sphere+batch', 4],
    ['none', 0],
  ] as const)('norm %s: %d per filter', (norm, each) => {
    expectCount(sphereCnn({ depth: 3, norm }), 694_464 + each * filters);
  });

  it('a learnable k and an angular head: one k per filter, no bias', () => {
    const head = { operator: 'linear', margin: 4 } as const;
    const model = sphereCnn({ depth: 3, operator: 'sigmoid', k: 'learnable', head });
    expectCount(model, 694_464 + 3 * filters);
  });
});

describe('resNet32', () => {
  const weights = sum([
    conv(3, 3, 96), // root
    10 * conv(3, 96, 96),
    conv(3, 96, 192) + 9 * conv(3, 192, 192) + conv(1, 96, 192),
    conv(3, 192, 384) + 9 * conv(3, 384, 384) + conv(1, 192, 384),
    384 * 10,
  ]);

  it('has 16.69 M weights', () => {
    expect(weights).toBe(16_687_392);
    // γ and β of the root, of the 10 convolutions of each stage, and of the two shortcuts.
    const norms = 2 * (96 + 10 * (96 + 192 + 384) + 192 + 384);
    expectCount(resNet32(), weights + norms);
    expectCount(resNet32({ operator: 'none' }), weights + norms);
  });
});

describe('resNet18', () => {
  it('has as many parameters as torchvision’s', () => {
    const widths = [64, 128, 256, 512] as const;
    const stage = (inputs: number, outputs: number): number => conv(3, inputs, outputs) + conv(1, inputs, outputs) + 3 * conv(3, outputs, outputs); // prettier-ignore
    const weights = sum([
      conv(7, 3, 64),
      4 * conv(3, 64, 64),
      ...[stage(64, 128), stage(128, 256), stage(256, 512)],
      512 * 1000 + 1000,
    ]);
    const norms = 2 * (64 + 4 * sum(widths) + 128 + 256 + 512);
    expect(weights + norms).toBe(11_689_512);
    expectCount(resNet18({ operator: 'none' }), 11_689_512);
    expectCount(resNet18({ variant: 'v1' }), 11_689_512);
  });
});

describe('vgg16', () => {
  it('has the original’s 138 M parameters', () => {
    const widths = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512];
    const convs = widths.slice(1).map((width, i) => conv(3, widths[i] as number, width) + width);
    const connected = (7 * 7 * 512 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 1000;
    expect(sum(convs) + connected).toBe(138_357_544);
    expectCount(vgg16({ operator: 'none', norm: 'none' }), 138_357_544);
  });

  it('has two more per filter with batch norm in place of a bias', () => {
    const small = { operator: 'none', inputShape: [32, 32, 3], features: 64, classes: 10 } as const;
    const filters = 2 * 64 + 2 * 128 + 3 * 256 + 6 * 512 + 2 * 64;
    const biased = vgg16({ ...small, norm: 'none' });
    expectCount(vgg16(small), biased.parameterCount + filters);
    biased.dispose();
  });
});

describe('googLeNet', () => {
  // Inputs of a module, then its 1×1, 3×3 with reduction, 5×5 with reduction, and 1×1 behind the pool: table 1 of
  // Szegedy et al. 2015.
  const modules = [
    [192, 64, 96, 128, 16, 32, 32],
    [256, 128, 128, 192, 32, 96, 64],
    [480, 192, 96, 208, 16, 48, 64],
    [512, 160, 112, 224, 24, 64, 64],
    [512, 128, 128, 256, 24, 64, 64],
    [512, 112, 144, 288, 32, 64, 64],
    [528, 256, 160, 320, 32, 128, 128],
    [832, 256, 160, 320, 32, 128, 128],
    [832, 384, 192, 384, 48, 128, 128],
  ] as const;
  const weights = sum([
    conv(7, 3, 64) + conv(1, 64, 64) + conv(3, 64, 192),
    ...modules.map(
      ([inputs, one, reduce3, three, reduce5, five, pool]) =>
        inputs * (one + reduce3 + reduce5 + pool) + conv(3, reduce3, three) + conv(5, reduce5, five),
    ),
    1024 * 1000 + 1000,
  ]);
  const filters = 64 + 64 + 192 + sum(modules.flatMap(([, ...widths]) => widths));

  it('has 7.0 M parameters with biases', () => {
    expect(weights + filters).toBe(6_998_552);
    expectCount(googLeNet({ operator: 'none', norm: 'none' }), 6_998_552);
  });

  it('has two per filter with batch norm', () => {
    expectCount(googLeNet(), weights + 2 * filters);
  });
});
