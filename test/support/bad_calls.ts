/** Bad calls and the errors they have to be answered with. */
import { scope, tensor, zeros } from './library';
import type { Tensor } from './library';

export const f32 = (...shape: number[]): Tensor => zeros(shape);
export const f64 = (...shape: number[]): Tensor => zeros(shape, { dtype: 'float64' });
export const bf16 = (...shape: number[]): Tensor => zeros(shape, { dtype: 'bfloat16' });
export const f16 = (...shape: number[]): Tensor => zeros(shape, { dtype: 'float16' });
export const labels = (...values: number[]): Tensor => tensor(Int32Array.from(values));
/** A value of a type that TypeScript would not let through. */
export const wrong = (value: unknown): never => value as never;

/** What is called, and what its message has to name: op, argument, expectation, and what came. */
export type Row = [call: () => unknown, ...words: string[]];

/** A test for each row. */
export function describeBadCalls(groups: Record<string, Row[]>): void {
  describe.each(Object.entries(groups))('a bad argument in %s', (_, rows) => {
    it.each(rows.map(([call, ...words]) => [words.join(' … '), call, words] as const))(
      'is answered with %s',
      (__, call, words) => {
        scope(() => {
          expect(call).toThrowSphereNetError('SPHERENET_ARGUMENT', ...words, ' must be ', ', got ');
        });
      },
    );
  });
}
