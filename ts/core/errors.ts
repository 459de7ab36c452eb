/** What kind of error it is; stable, for programs. The message is for people. */
export type ErrorCode =
  | 'SPHERENET_ARGUMENT' // an argument has the wrong shape, dtype, device, range or type
  | 'SPHERENET_DISPOSED' // a tensor was used after dispose()
  | 'SPHERENET_AUTOGRAD' // backward() where there is no graph, or none any more
  | 'SPHERENET_DEVICE' // the device is not available
  | 'SPHERENET_BINDING' // the native addon could not be loaded
  | 'SPHERENET_DATA' // a data file is not what was expected
  | 'SPHERENET_DIVERGED' // training met NaN or infinity
  | 'SPHERENET_OUT_OF_MEMORY'
  | 'SPHERENET_NATIVE'; // a kernel failed

/** Every error this library throws on purpose. */
export class SphereNetError extends Error {
  override readonly name: string = 'SphereNetError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Throws `op: argument must be EXPECTED, got GOT`. */
export function fail(op: string, argument: string, expected: string, got: string): never {
  throw new SphereNetError('SPHERENET_ARGUMENT', `${op}: ${argument} must be ${expected}, got ${got}`);
}

/** A value in a few words, for error messages: "float32 [2, 3] on cpu", "the string 'x'", "-1". */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  switch (typeof value) {
    case 'string':
      return `the string '${value.length > 40 ? `${value.slice(0, 40)}…` : value}'`;
    case 'number':
    case 'boolean':
      return String(value);
    case 'bigint':
      return `${value}n`;
    case 'function':
      return 'a function';
    case 'symbol':
      return 'a symbol';
    default:
  }
  if (isDescribable(value)) return value.describe();
  if (Array.isArray(value)) {
    const items: unknown[] = value.slice(0, 8);
    return `[${items.map(describe).join(', ')}${value.length > 8 ? ', …' : ''}]`;
  }
  if (ArrayBuffer.isView(value)) {
    return `a ${value.constructor.name} of ${(value as { length?: number }).length ?? value.byteLength} elements`;
  }
  const name = value.constructor.name;
  return name === 'Object' ? 'an object' : `a ${name}`;
}

function isDescribable(value: unknown): value is { describe(): string } {
  return typeof (value as { describe?: unknown }).describe === 'function';
}

/** Checks a whole number in [low, high]. */
export function checkInteger(
  op: string,
  argument: string,
  value: unknown,
  low: number,
  high = 2 ** 31 - 1,
): asserts value is number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < low || value > high) {
    const upTo = high === 2 ** 31 - 1 ? `of at least ${low}` : `from ${low} to ${high}`;
    fail(op, argument, `a whole number ${upTo}`, describe(value));
  }
}

/** Checks a finite number for which `test` holds; `expected` says what that is. */
export function checkNumber(
  op: string,
  argument: string,
  value: unknown,
  expected = 'a finite number',
  test: (value: number) => boolean = () => true,
): asserts value is number {
  if (typeof value !== 'number' || !Number.isFinite(value) || !test(value)) {
    fail(op, argument, expected, describe(value));
  }
}

/** Checks that a value is one of a few strings. */
export function checkOneOf<T extends string>(
  op: string,
  argument: string,
  value: unknown,
  choices: readonly T[],
): asserts value is T {
  if (!choices.includes(value as T)) {
    fail(op, argument, `one of ${choices.map((c) => `'${c}'`).join(', ')}`, describe(value));
  }
}
