/** The losses of ts/losses/margin_softmax.ts and gaSoftmax, called by name. */
import type { GaSoftmaxOptions, SphereFaceROptions } from '../../ts/losses';
import { losses, scope, tensor } from './library';
import type { FloatDType, Tensor } from './library';

export const NAMES = ['normFace', 'cosFace', 'arcFace', 'sphereFace', 'sphereFaceR'] as const;
export type Name = (typeof NAMES)[number];
export type Options = GaSoftmaxOptions & SphereFaceROptions;

export function apply(
  name: Name | 'gaSoftmax',
  [x, w]: readonly Tensor[],
  labels: Int32Array,
  options: Options = {},
): Tensor {
  const loss = losses[name] as (x: Tensor, w: Tensor, labels: Tensor, options: Options) => Tensor;
  return loss(x as Tensor, w as Tensor, tensor(labels), options);
}

/** Every loss with a margin, and without `detach` where that makes a difference. */
export const VARIANTS: readonly (readonly [Name, Options])[] = [
  ['normFace', {}],
  ['cosFace', {}],
  ...[true, false].flatMap((detach) => [
    ['arcFace', { detach }] as const,
    ['sphereFace', { detach }] as const,
    ['sphereFace', { detach, margin: 4 }] as const,
    ...(['v0', 'v1', 'v2'] as const).flatMap((version) =>
      (['hard', 'soft', 'none'] as const).map(
        (features) => ['sphereFaceR', { detach, version, features }] as const,
      ),
    ),
  ]),
];
/** The same for it.each, with a title. */
export const each = VARIANTS.map(
  ([name, options]) => [`${name} ${JSON.stringify(options)}`, name, options] as const,
);

/** Loss and gradients of features and weight. */
export function evaluated(
  name: Name | 'gaSoftmax',
  data: readonly [ArrayLike<number>, ArrayLike<number>],
  shape: readonly [number, number, number],
  labels: Int32Array,
  options: Options,
  dtype: FloatDType = 'float64',
): { loss: number; dx: Float64Array; dw: Float64Array } {
  return scope(() => {
    const [n, d, classes] = shape;
    const [x, w] = data.map((values, i) =>
      tensor(Float64Array.from(values), { shape: [i ? classes : n, d], dtype, requiresGrad: true }),
    ) as [Tensor, Tensor];
    const loss = apply(name, [x, w], labels, options);
    loss.backward();
    const [dx, dw] = [x, w].map(({ grad }) => Float64Array.from((grad as Tensor).dataSync())) as [
      Float64Array,
      Float64Array,
    ];
    return { loss: loss.itemSync(), dx, dw };
  });
}
