// The float64 fixtures of the tests, in every format: what the definition says, not what the CPU computes.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { losses, ops, tensor } from 'spherenet';
import type { Tensor } from 'spherenet';
import { TARGET } from '../target';
import type { Variant, VariantName } from '../target';
import type { Tolerance } from './compare';

interface Values {
  shape: number[];
  data: number[];
}

export interface Fixture {
  name: string;
  op: 'sphereConv2d' | 'sphereLinear' | 'gaSoftmax' | 'orthogonality';
  parameters: {
    operator: ops.AngularOperator;
    epsilon: number;
    stride: number;
    padding: [number, number, number, number];
    dilation: number;
    groups: number;
    k?: number;
    margin: number;
  };
  inputs: Record<string, Values>;
  output: Values;
  outputGradient: Values;
  gradients: Record<string, Values>;
}

const FILES = ['sphere.json', 'sphere_shapes.json', 'decoupled.json'];

/** The repository, or the folder that `npm run gpu:bundle` has packed. */
const ROOT = join(__dirname, '..', '..', '..', '..');

/**
 * Fixtures have small patches, where the derivative of the angle magnifies what rounding the operands does. In bfloat16 the
 * curvature's gradient of one of them is off by 0.09, on every backend: that is what rounding the angles does to it.
 */
export const FIXTURE_TOLERANCES: Readonly<Partial<Record<VariantName, Tolerance>>> = {
  float64: { norm: 1e-9, worst: 1e-8 },
  float32: { norm: 1e-4, worst: 1e-2 },
  tf32: { norm: 2e-2, worst: 0.2 },
  bfloat16: { norm: 0.1, worst: 0.6 },
  float16: { norm: 2e-2, worst: 0.2 },
};

export function loadFixtures(): Fixture[] {
  return FILES.map((file) => join(ROOT, 'test', 'fixtures', file))
    .filter((path) => existsSync(path))
    .flatMap((path) => (JSON.parse(readFileSync(path, 'utf8')) as { cases: Fixture[] }).cases);
}

/** Losses take float32 and float64 only. */
export function serves({ op }: Fixture, { dtype }: Variant): boolean {
  return op === 'sphereConv2d' || op === 'sphereLinear' || dtype === 'float32' || dtype === 'float64';
}

/** Output and gradients on the device under test, by name, beside what they ought to be. */
export function runFixture(
  fixture: Fixture,
  variant: Variant,
): Record<string, { got: Tensor; expected: readonly number[] }> {
  const inputs: Record<string, Tensor> = {};
  for (const [name, { shape, data }] of Object.entries(fixture.inputs)) {
    inputs[name] =
      name === 'labels'
        ? tensor(Int32Array.from(data), { shape, device: TARGET })
        : tensor(data, { shape, device: TARGET, dtype: variant.parameters, requiresGrad: true });
  }
  const y = apply(fixture, inputs, variant);
  const { shape, data } = fixture.outputGradient;
  const dy = tensor(data, { shape, device: TARGET, dtype: variant.parameters });
  y.backward(ops.cast(dy, y.dtype));
  const outputs: Record<string, { got: Tensor; expected: readonly number[] }> = {
    y: { got: y, expected: fixture.output.data },
  };
  for (const [name, expected] of Object.entries(fixture.gradients)) {
    outputs[`d${name}`] = { got: inputs[name]?.grad as Tensor, expected: expected.data };
  }
  return outputs;
}

function apply({ op, parameters }: Fixture, inputs: Record<string, Tensor>, { dtype }: Variant): Tensor {
  const { input, weight, labels, k, radius } = inputs as Record<'input' | 'weight' | 'labels', Tensor> & {
    k?: Tensor;
    radius?: Tensor;
  };
  const { operator } = parameters;
  const options = {
    ...parameters,
    ...(k && { k }),
    ...(radius && typeof operator === 'object' && { operator: { ...operator, radius } }),
  };
  switch (op) {
    case 'sphereConv2d':
      return ops.sphereConv2d(ops.cast(input, dtype), weight, options);
    case 'sphereLinear':
      return ops.sphereLinear(ops.cast(input, dtype), weight, options);
    case 'gaSoftmax':
      return losses.gaSoftmax(input, weight, labels, {
        ...parameters,
        operator: parameters.operator as ops.MarginFunction,
      });
    case 'orthogonality':
      return losses.orthogonality(weight);
  }
}
