import { ops, random, Generator, tensor } from 'spherenet';
import type { Tensor } from 'spherenet';
import type { Draw } from '../draw';
import type { Storage } from '../target';
import { ACTIVATIONS, drawShape, WIDE, words } from './cases';
import type { Case, Operation } from './cases';
import type { Kind } from './compare';
import type { Inputs } from './inputs';

/** An op of one tensor. */
function unary(
  name: string,
  kind: Kind,
  apply: (x: Tensor) => Tensor,
  values?: (draw: Draw) => number,
  kinds?: Case['kinds'],
): Operation {
  return {
    name,
    variants: ACTIVATIONS,
    draw(draw) {
      const shape = drawShape(draw, 1, 4);
      return {
        ...{ text: words({ shape }), kind, ...(kinds && { kinds }) },
        run(inputs) {
          const x = inputs.activation(shape, values ? { values } : {});
          return inputs.backward(apply(x), { x });
        },
      };
    },
  };
}

/** b gets extents of 1, and fewer axes. */
function broadcast(name: 'add' | 'sub' | 'mul' | 'div', values?: (draw: Draw) => number): Operation {
  return {
    name,
    variants: ACTIVATIONS,
    draw(draw) {
      const shape = drawShape(draw, 1, 4);
      const other = shape
        .map((extent) => (draw.chance(0.4) ? 1 : extent))
        .slice(draw.chance(0.4) ? draw.between(0, shape.length - 1) : 0);
      return {
        ...{ text: words({ a: shape, b: other }), kind: 'sum', kinds: { y: 'rounding' } },
        run(inputs) {
          const a = inputs.activation(shape);
          const b = inputs.activation(other, values ? { values } : {});
          return inputs.backward(ops[name](a, b), { a, b });
        },
      };
    },
  };
}

const reductions: Operation = {
  name: 'sum, mean',
  variants: ACTIVATIONS,
  draw(draw) {
    const shape = drawShape(draw, 1, 4);
    const axes = shape.map((_, axis) => axis).filter(() => draw.chance(0.6));
    const keepDims = draw.chance(0.5);
    const mean = draw.chance(0.5);
    return {
      ...{ text: words({ shape, axes, keepDims, mean }), kind: 'sum' },
      run(inputs) {
        const x = inputs.activation(shape, { values: (d) => d.normal() + 1 });
        const y = (mean ? ops.mean : ops.sum)(x, { axes, keepDims });
        return inputs.backward(y, { x });
      },
    };
  },
};

const regions: Operation = {
  name: 'slice, pad, concat',
  variants: ACTIVATIONS,
  draw(draw) {
    const shape = drawShape(draw, 1, 4);
    const begin = shape.map((extent) => draw.between(0, extent - 1));
    const size = shape.map((extent, axis) => draw.between(1, extent - (begin[axis] as number)));
    const padding = shape.map(() => [draw.between(0, 3), draw.between(0, 3)] as const);
    const axis = draw.between(0, shape.length - 1);
    const value = draw.between(-2, 2);
    return {
      ...{ text: words({ shape, begin, size, padding, axis, value }), kind: 'exact' },
      kinds: { dx: 'rounding' },
      run(inputs) {
        const x = inputs.activation(shape);
        const padded = ops.pad(ops.slice(x, begin, size), padding, value);
        return inputs.backward(ops.concat([padded, padded], axis), { x });
      },
    };
  },
};

const casts: Operation = {
  name: 'cast',
  variants: ACTIVATIONS,
  draw(draw, { dtype }) {
    const shape = drawShape(draw, 1, 2);
    const to = draw.pick<Storage | 'int32' | 'uint8'>(
      dtype === 'float64'
        ? ['float32', 'int32', 'uint8']
        : ['float32', 'float64', 'bfloat16', 'float16', 'int32', 'uint8'],
    );
    const scale = draw.pick([1, 1, 0.37, -2.5]);
    const shift = draw.pick([0, 0, 1.25]);
    const large = draw.pick([1, 100, 1e5]);
    return {
      ...{ text: words({ shape, from: dtype, to, scale, shift, large }), kind: 'exact', reference: 'same' },
      // Contracted or not, scale · x + shift may differ in its last bit, which rounding may then turn into one step.
      kinds: scale === 1 && shift === 0 ? {} : { y: to === 'int32' || to === 'uint8' ? 'sum' : 'rounding' },
      run(inputs) {
        const x = inputs.activation(shape, { grad: false, values: (d) => large * d.normal() });
        return { y: ops.cast(x, to, { scale, shift }) };
      },
    };
  },
};

const fromBytes: Operation = {
  name: 'cast of bytes',
  variants: ACTIVATIONS,
  draw(draw, { dtype }) {
    const shape = drawShape(draw, 1, 4);
    return {
      ...{ text: words({ shape, to: dtype }), kind: 'rounding', reference: 'same' },
      run: (inputs) => ({
        y: ops.cast(inputs.bytes(shape), dtype, { scale: 1 / 128, shift: -127.5 / 128 }),
      }),
    };
  },
};

const dropout: Operation = {
  name: 'dropout',
  variants: ACTIVATIONS,
  draw(draw) {
    const shape = drawShape(draw, 1, 3);
    const p = draw.pick([0.1, 0.5, 0.9]);
    return {
      ...{ text: words({ shape, p }), kind: 'rounding', reference: 'same' },
      run(inputs) {
        const x = inputs.activation(shape);
        return inputs.backward(ops.dropout(x, p, { seed: inputs.seed() }), { x });
      },
    };
  },
};

const randoms: Operation = {
  name: 'random',
  variants: WIDE,
  draw(draw, { dtype }) {
    const shape = drawShape(draw, 1, 3);
    return {
      ...{ text: words({ shape }), kind: 'exact', kinds: { normal: 'sum' }, reference: 'same' },
      run(inputs) {
        const { device } = inputs.place;
        const options = { device, dtype, generator: new Generator(inputs.seed()) };
        return {
          uniform: random.uniform(shape, { ...options, low: -2, high: 3 }),
          normal: random.normal(shape, { ...options, deviation: 2 }),
        };
      },
    };
  },
};

const writes: Operation = {
  name: 'assign, views',
  variants: ACTIVATIONS,
  draw(draw) {
    const shape = drawShape(draw, 2, 3);
    return {
      ...{ text: words({ shape }), kind: 'exact' },
      run(inputs: Inputs) {
        const x = inputs.activation(shape, { grad: false });
        const y = inputs.activation(shape, { grad: false });
        const last = (shape[0] as number) - 1;
        const rest = shape.slice(1);
        const begin = (row: number): number[] => [row, ...rest.map(() => 0)];
        ops.slice(x, begin(0), [1, ...rest]).assign(ops.slice(y, begin(last), [1, ...rest]));
        return { x: ops.reshape(x, [-1]), y };
      },
    };
  },
};

const oneHots: Operation = {
  name: 'oneHot',
  variants: ACTIVATIONS,
  draw(draw, { dtype }) {
    const [rows, classes] = [draw.between(1, 300), draw.between(1, 200)];
    return {
      ...{ text: words({ rows, classes }), kind: 'exact' },
      run: (inputs) => ({ y: ops.oneHot(inputs.labels(rows, classes), classes, dtype) }),
    };
  },
};

const moves: Operation = {
  name: 'to',
  variants: ACTIVATIONS,
  draw(draw) {
    const shape = drawShape(draw, 1, 3);
    return {
      ...{ text: words({ shape }), kind: 'exact' },
      run(inputs) {
        const x = inputs.activation(shape);
        const there = ops.to(ops.relu(x), 'cpu');
        return inputs.backward(ops.to(there, inputs.place.device), { x });
      },
    };
  },
};

const crops: Operation = {
  name: 'randomCropFlip',
  variants: ACTIVATIONS,
  draw(draw, { name }) {
    const input = [
      draw.between(1, 20),
      draw.between(1, 20),
      draw.between(1, 20),
      draw.between(1, 9),
    ] as const;
    const padding = draw.between(0, 3);
    const size = [draw.between(1, input[1] + 2 * padding), draw.between(1, input[2] + 2 * padding)] as const;
    const flip = draw.chance(0.7);
    const bytes = name === 'float32' && draw.chance(0.5);
    return {
      ...{ text: words({ input, padding, size, flip, bytes }), kind: 'exact', reference: 'same' },
      run(inputs) {
        const images = bytes ? inputs.bytes(input) : inputs.activation(input, { grad: false });
        return { y: ops.randomCropFlip(images, size, { padding, flip, seed: inputs.seed() }) };
      },
    };
  },
};

const integers: Operation = {
  name: 'fill and copy of integers',
  variants: ['float32'],
  draw(draw) {
    const shape = drawShape(draw, 1, 3);
    const values = Int32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () =>
      draw.between(-(2 ** 31), 2 ** 31 - 1),
    );
    const padding = shape.map(() => [1, 2] as const);
    return {
      ...{ text: words({ shape }), kind: 'exact', reference: 'same' },
      run: (inputs) => ({
        labels: ops.pad(tensor(values, { shape, device: inputs.place.device }), padding, -7),
        bytes: ops.pad(inputs.bytes(shape), padding, 200),
      }),
    };
  },
};

/** Away from 0, where slopes change or end. */
const apartFromZero = (draw: Draw): number => (draw.chance(0.5) ? 1 : -1) * (0.1 + draw.uniform());

export const POINTWISE: readonly Operation[] = [
  broadcast('add'),
  broadcast('sub'),
  broadcast('mul'),
  broadcast('div', apartFromZero),
  unary('scale', 'rounding', (x) => ops.scale(x, -1.7, 0.3)),
  unary('abs', 'exact', ops.abs, apartFromZero),
  unary('square', 'rounding', ops.square),
  unary('sqrt', 'rounding', ops.sqrt, (draw) => 0.05 + draw.uniform()),
  unary('exp', 'sum', ops.exp),
  unary('log', 'sum', ops.log, (draw) => 0.05 + draw.uniform()),
  unary('tanh', 'sum', ops.tanh),
  unary('softplus', 'sum', ops.softplus),
  unary('acos', 'sum', ops.acos, (draw) => 1.8 * draw.uniform() - 0.9),
  unary(
    'power',
    'sum',
    (x) => ops.power(x, 1.7),
    (draw) => 0.05 + draw.uniform(),
  ),
  unary('relu', 'exact', ops.relu),
  unary('leakyRelu', 'rounding', (x) => ops.leakyRelu(x, 0.2)),
  ...[oneHots, reductions, regions, casts, fromBytes, dropout, randoms, writes, moves, crops, integers],
];
