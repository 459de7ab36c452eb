import { existsSync } from 'node:fs';
import { loadFixtures, runFixture } from '../support/fixtures';
import { scope } from '../support/library';

const TOLERANCES = [
  ['float64', 1e-9],
  ['float32', 1e-4],
] as const;

// SPHERENET_FIXTURES names one more file, made by sphere_reference.py with another seed.
const extra = process.env['SPHERENET_FIXTURES'];
const files = [
  'sphere.json',
  'sphere_shapes.json',
  'decoupled.json',
  ...(extra && existsSync(extra) ? [extra] : []),
];

describe.each(files)('the reference of %s holds', (file) => {
  describe.each(TOLERANCES)('in %s to %p', (dtype, tolerance) => {
    it.each(loadFixtures(file).map((fixture) => [fixture.name, fixture] as const))('for %s', (_, fixture) => {
      scope(() => {
        const { shape, output, gradients } = runFixture(fixture, dtype);
        expect(shape).toEqual(fixture.output.shape);
        expect(output).toBeAllClose(fixture.output.data, tolerance);
        expect(Object.keys(gradients)).toEqual(Object.keys(fixture.gradients));
        for (const [name, { data }] of Object.entries(fixture.gradients)) {
          expect(gradients[name] as Float64Array).toBeAllClose(data, tolerance);
        }
      });
    });
  });
});
