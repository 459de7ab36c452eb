import * as nn from '../../ts/nn';
import { inScope } from '../support/in_scope';
import { Generator, losses, random, tensor } from '../support/library';
import type { Tensor } from '../support/library';

const features = (): Tensor => random.normal([5, 6], { deviation: 3, generator: new Generator(4) });
const labels = (): Tensor => tensor(Int32Array.of(0, 2, 1, 2, 0));
const annealing = { base: 100, gamma: 0.5, power: 2, minimum: 1 };
const lambdaAt = (iteration: number): number => Math.max(1, 100 * (1 + 0.5 * iteration) ** -2);

const makeHead = (seed = 5): nn.AngularHead =>
  new nn.AngularHead(6, 3, { margin: 4, annealing, labelSmoothing: 0.1, generator: new Generator(seed) });

describe('the annealing of AngularHead', () => {
  it(
    'falls with the calls of loss() in training mode, and the loss is that of λ',
    inScope(async () => {
      const head = makeHead();
      expect(head.lambda).toBe(100);
      for (let iteration = 1; iteration <= 20; ++iteration) {
        const loss = await head.loss(features(), labels()).item();
        const lambda = lambdaAt(iteration);
        expect(head.lambda).toBe(lambda);
        const options = { margin: 4, lambda, labelSmoothing: 0.1 };
        expect(loss).toBe(await losses.gaSoftmax(features(), head.weight, labels(), options).item());
      }
      expect(head.lambda).toBe(1);
      head.dispose();
    }),
  );

  it(
    'stands still in inference mode and where labels are refused',
    inScope(async () => {
      const head = makeHead();
      await head.loss(features(), labels()).item();
      head.eval();
      const before = await head.loss(features(), labels()).item();
      expect(await head.loss(features(), labels()).item()).toBe(before);
      expect(head.lambda).toBe(lambdaAt(1));
      head.train();
      expect(() => head.loss(features(), tensor(Int32Array.of(0, 1, 2, 3, 0)))).toThrow('labels');
      expect(head.lambda).toBe(lambdaAt(1));
      head.dispose();
    }),
  );

  it(
    'is part of the state, so that a training goes on with the λ it had',
    inScope(async () => {
      const [head, resumed] = [makeHead(5), makeHead(6)];
      for (let i = 0; i < 7; ++i) head.loss(features(), labels());
      const state = await new nn.Sequential(head).stateDict();
      expect(state['0.iterations']).toMatchObject({ shape: [1], dtype: 'int32' });
      new nn.Sequential(resumed).loadStateDict(state);
      expect(resumed.lambda).toBe(lambdaAt(7));
      const [a, b] = [head, resumed].map((each) => each.loss(features(), labels()));
      expect(await (a as Tensor).item()).toBe(await (b as Tensor).item());
      expect(resumed.lambda).toBe(lambdaAt(8));
      // Not only what JavaScript wrote is known.
      (resumed.iterations as Tensor).assign(head.iterations as Tensor);
      expect(resumed.lambda).toBe(lambdaAt(8));
      head.dispose();
      resumed.dispose();
    }),
  );

  it("has the authors' defaults", () => {
    const head = new nn.AngularHead(6, 3, { margin: 4, annealing: {} });
    expect(head.lambda).toBe(1000);
    const iterations = head.iterations as Tensor;
    iterations.assign([100]);
    expect(head.lambda).toBeCloseTo(1000 / 13, 10);
    iterations.assign([100_000]);
    expect(head.lambda).toBe(5);
    head.dispose();
  });

  it('leaves a head without it as it was', () => {
    const head = new nn.AngularHead(6, 3, { margin: 4 });
    expect([head.lambda, head.iterations, head.namedBuffers().size]).toEqual([0, null, 0]);
    head.dispose();
  });

  it.each(['base', 'gamma', 'power', 'minimum'])('refuses a negative %s', (name) => {
    expect(() => new nn.AngularHead(6, 3, { annealing: { [name]: -1 } })).toThrowSphereNetError(
      'SPHERENET_ARGUMENT',
      `AngularHead: annealing.${name} must be a number of at least 0, got -1`,
    );
  });
});
