import { scope } from './library';

/** A test whose tensors are disposed at its end: `it('…', inScope(() => { … }))`. */
export function inScope<T extends void | Promise<void>>(test: () => T): () => T {
  return () => scope(test);
}
