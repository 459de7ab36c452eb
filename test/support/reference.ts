/** Naive float64 definitions of the windowed ops, loops as in the formulas. Images NHWC, weights OHWI. */

// Jest's global object is slow to look into.
const { abs, floor, sqrt, asin, tanh, max, exp, log, PI } = Math;

type Four = readonly [number, number, number, number];

export interface Window {
  stride: readonly [number, number];
  padding: Four;
  dilation: readonly [number, number];
  groups: number;
}

export const PLAIN: Window = { stride: [1, 1], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1 };

export function outputShape(
  input: Four,
  kernel: readonly [number, number],
  filters: number,
  p: Window,
): Four {
  const [top, bottom, left, right] = p.padding;
  const along = (size: number, k: number, d: number, s: number): number =>
    floor((size - d * (k - 1) - 1) / s) + 1;
  return [
    input[0],
    along(input[1] + top + bottom, kernel[0], p.dilation[0], p.stride[0]),
    along(input[2] + left + right, kernel[1], p.dilation[1], p.stride[1]),
    filters,
  ];
}

/** Calls visit for every product of a convolution, with flat indices: y (and its patch's norm), x or -1 in the padding, w. */
export function forEachProduct(
  input: Four,
  weight: Four,
  p: Window,
  visit: (y: number, x: number, w: number, norm: number) => void,
): void {
  const [, H, W, C] = input;
  const [O, KH, KW, CG] = weight;
  const [N, OH, OW] = outputShape(input, [KH, KW], O, p);
  const perGroup = O / p.groups;
  for (let n = 0; n < N; ++n) {
    for (let oh = 0; oh < OH; ++oh) {
      for (let ow = 0; ow < OW; ++ow) {
        const position = (n * OH + oh) * OW + ow;
        for (let o = 0; o < O; ++o) {
          const group = floor(o / perGroup);
          for (let kh = 0; kh < KH; ++kh) {
            for (let kw = 0; kw < KW; ++kw) {
              const h = oh * p.stride[0] - p.padding[0] + kh * p.dilation[0];
              const w = ow * p.stride[1] - p.padding[2] + kw * p.dilation[1];
              const inside = h >= 0 && h < H && w >= 0 && w < W;
              for (let c = 0; c < CG; ++c) {
                const x = inside ? ((n * H + h) * W + w) * C + group * CG + c : -1;
                visit(position * O + o, x, ((o * KH + kh) * KW + kw) * CG + c, position * p.groups + group);
              }
            }
          }
        }
      }
    }
  }
}

export function conv2d(x: Float64Array, input: Four, w: Float64Array, weight: Four, p: Window): Float64Array {
  const y = new Float64Array(
    outputShape(input, [weight[1], weight[2]], weight[0], p).reduce((a, b) => a * b),
  );
  forEachProduct(input, weight, p, (yi, xi, wi) => {
    if (xi >= 0) y[yi] = (y[yi] as number) + (x[xi] as number) * (w[wi] as number);
  });
  return y;
}

/** Gradients of conv2d for an output gradient dy. */
export function conv2dGradients(
  x: Float64Array,
  input: Four,
  w: Float64Array,
  weight: Four,
  dy: Float64Array,
  p: Window,
): { dx: Float64Array; dw: Float64Array } {
  const dx = new Float64Array(x.length);
  const dw = new Float64Array(w.length);
  forEachProduct(input, weight, p, (yi, xi, wi) => {
    if (xi < 0) return;
    const g = dy[yi] as number;
    dx[xi] = (dx[xi] as number) + g * (w[wi] as number);
    dw[wi] = (dw[wi] as number) + g * (x[xi] as number);
  });
  return { dx, dw };
}

export type Operator = 'cosine' | 'linear' | 'sigmoid' | 'squaredCosine';

/** g(θ) as a function of c = cos θ. */
export function angular(c: number, operator: Operator, k: number): number {
  if (operator === 'cosine') return c;
  if (operator === 'squaredCosine') return c * abs(c);
  if (operator === 'linear') return (2 / PI) * asin(c);
  return tanh(asin(c) / (2 * k)) / tanh(PI / (4 * k));
}

/** dg/dc. */
export function angularSlope(c: number, operator: Operator, k: number): number {
  if (operator === 'cosine') return 1;
  if (operator === 'squaredCosine') return 2 * abs(c);
  const dasin = 1 / sqrt(max(1 - c * c, 1e-6));
  if (operator === 'linear') return (2 / PI) * dasin;
  const t = tanh(asin(c) / (2 * k));
  return ((1 - t * t) / (2 * k) / tanh(PI / (4 * k))) * dasin;
}

function cosines(
  x: Float64Array,
  input: Four,
  w: Float64Array,
  weight: Four,
  epsilon: number,
  p: Window,
): { c: Float64Array; nx: Float64Array; nw: Float64Array } {
  const c = conv2d(x, input, w, weight, p);
  const O = weight[0];
  const perFilter = w.length / O;
  const nw = Float64Array.from({ length: O }, (_, o) =>
    sqrt(w.subarray(o * perFilter, (o + 1) * perFilter).reduce((sum, v) => sum + v * v, epsilon)),
  );
  const nx = new Float64Array((c.length / O) * p.groups).fill(epsilon);
  const perGroup = O / p.groups;
  forEachProduct(input, weight, p, (yi, xi, _, norm) => {
    if (xi >= 0 && (yi % O) % perGroup === 0) nx[norm] = (nx[norm] as number) + (x[xi] as number) ** 2;
  });
  nx.forEach((sum, i) => (nx[i] = sqrt(sum)));
  c.forEach((dot, i) => {
    const o = i % O;
    const norm = floor(i / O) * p.groups + floor(o / perGroup);
    c[i] = dot / ((nx[norm] as number) * (nw[o] as number));
  });
  return { c, nx, nw };
}

export interface Sphere {
  operator: Operator;
  k: number;
  epsilon: number;
}

export function sphereConv2d(
  x: Float64Array,
  input: Four,
  w: Float64Array,
  weight: Four,
  s: Sphere,
  p: Window,
): Float64Array {
  return cosines(x, input, w, weight, s.epsilon, p).c.map((c) => angular(c, s.operator, s.k));
}

/** Gradients of sphereConv2d, term by term: dc/dx = w/(nx nw) − c x/nx² for every product. */
export function sphereConv2dGradients(
  x: Float64Array,
  input: Four,
  w: Float64Array,
  weight: Four,
  dy: Float64Array,
  s: Sphere,
  p: Window,
): { dx: Float64Array; dw: Float64Array } {
  const { c, nx, nw } = cosines(x, input, w, weight, s.epsilon, p);
  const dx = new Float64Array(x.length);
  const dw = new Float64Array(w.length);
  const g = dy.map((value, i) => value * angularSlope(c[i] as number, s.operator, s.k));
  forEachProduct(input, weight, p, (yi, xi, wi, norm) => {
    const [gi, ci, ni, mi] = [g[yi], c[yi], nx[norm], nw[yi % weight[0]]] as [number, number, number, number];
    const xv = xi < 0 ? 0 : (x[xi] as number);
    const wv = w[wi] as number;
    if (xi >= 0) dx[xi] = (dx[xi] as number) + gi * (wv / (ni * mi) - (ci * xv) / (ni * ni));
    dw[wi] = (dw[wi] as number) + gi * (xv / (ni * mi) - (ci * wv) / (mi * mi));
  });
  return { dx, dw };
}

/** One number per window of a pool, from the values inside the image and the window's full size. */
export function pool2d(
  x: Float64Array,
  input: Four,
  kernel: readonly [number, number],
  p: Pick<Window, 'stride' | 'padding'>,
  reduce: (values: number[], windowSize: number) => number,
): Float64Array {
  const [N, H, W, C] = input;
  const [, OH, OW] = outputShape(input, kernel, C, { ...PLAIN, ...p });
  const y = new Float64Array(N * OH * OW * C);
  for (let i = 0; i < y.length; ++i) {
    const c = i % C;
    const ow = floor(i / C) % OW;
    const oh = floor(i / C / OW) % OH;
    const n = floor(i / C / OW / OH);
    const values: number[] = [];
    for (let h = oh * p.stride[0] - p.padding[0], kh = 0; kh < kernel[0]; ++kh, ++h) {
      for (let w = ow * p.stride[1] - p.padding[2], kw = 0; kw < kernel[1]; ++kw, ++w) {
        if (h >= 0 && h < H && w >= 0 && w < W) values.push(x[((n * H + h) * W + w) * C + c] as number);
      }
    }
    y[i] = reduce(values, kernel[0] * kernel[1]);
  }
  return y;
}

/** Mean over the rows of −Σ target · log softmax, targets smoothed. */
export function crossEntropy(
  logits: Float64Array,
  classes: number,
  labels: Int32Array,
  smoothing: number,
): number {
  let total = 0;
  labels.forEach((label, n) => {
    const row = logits.subarray(n * classes, (n + 1) * classes);
    const top = max(...row);
    const whole = top + log(row.reduce((sum, v) => sum + exp(v - top), 0));
    row.forEach((v, c) => {
      const target = (c === label ? 1 - smoothing : 0) + smoothing / classes;
      if (target > 0) total += target * (whole - v);
    });
  });
  return total / labels.length;
}
