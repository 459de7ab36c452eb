/** The float64 fixtures: `test/fixtures/sphere_reference.py` is their definition. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { losses, ops, tensor } from './library';
import type { FloatDType, Tensor, TypedArray } from './library';

type AngularOperator = ops.AngularOperator;

interface Values {
  shape: number[];
  data: number[];
}

export interface FixtureCase {
  name: string;
  op: 'sphereConv2d' | 'sphereLinear' | 'gaSoftmax' | 'orthogonality';
  parameters: {
    operator: AngularOperator;
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

/** Cases of a file of test/fixtures, or of the file that is named by an absolute path. */
export function loadFixtures(file: string): FixtureCase[] {
  const path = join(__dirname, '..', 'fixtures', file);
  const { cases } = JSON.parse(readFileSync(file.startsWith('/') ? file : path, 'utf8')) as {
    cases: FixtureCase[];
  };
  return cases;
}

function apply({ op, parameters }: FixtureCase, inputs: Record<string, Tensor>): Tensor {
  const { input, weight, labels, k, radius } = inputs as {
    input: Tensor;
    weight: Tensor;
    labels: Tensor;
    k?: Tensor;
    radius?: Tensor;
  };
  const { operator } = parameters;
  switch (op) {
    case 'sphereConv2d':
      return ops.sphereConv2d(input, weight, {
        ...parameters,
        ...(k && { k }),
        ...(radius && typeof operator === 'object' && { operator: { ...operator, radius } }),
      });
    case 'sphereLinear':
      return ops.sphereLinear(input, weight, parameters);
    case 'gaSoftmax':
      return losses.gaSoftmax(input, weight, labels, {
        ...parameters,
        operator: operator as ops.MarginFunction,
      });
    case 'orthogonality':
      return losses.orthogonality(weight);
  }
}

/** Output and gradients as this library computes them; call it in a scope. */
export function runFixture(
  fixture: FixtureCase,
  dtype: FloatDType,
): { shape: readonly number[]; output: TypedArray; gradients: Record<string, TypedArray> } {
  const inputs: Record<string, Tensor> = {};
  for (const [name, { shape, data }] of Object.entries(fixture.inputs)) {
    inputs[name] =
      name === 'labels'
        ? tensor(Int32Array.from(data), { shape })
        : tensor(data, { shape, dtype, requiresGrad: true });
  }
  const y = apply(fixture, inputs);
  const { shape, data } = fixture.outputGradient;
  y.backward(tensor(data, { shape, dtype }));
  const gradients: Record<string, TypedArray> = {};
  for (const name of Object.keys(fixture.gradients)) {
    gradients[name] = ((inputs[name] as Tensor).grad as Tensor).dataSync();
  }
  return { shape: y.shape, output: y.dataSync(), gradients };
}
