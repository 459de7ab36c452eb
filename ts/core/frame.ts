import { binding } from './binding';

/**
 * The arguments of one native call, as numbers in memory that the addon reads too: a call then costs the same however
 * many arguments it has, as none is converted. Written from the start for each call, and read before it returns.
 */
class Frame {
  #numbers = binding.frame(1024);
  #count = 0;

  /** Numbers written since {@link begin}. */
  get count(): number {
    return this.#count;
  }

  /** Starts the arguments of another call. */
  begin(): this {
    this.#count = 0;
    return this;
  }

  put(number: number): this {
    if (this.#count === this.#numbers.length) this.#grow();
    this.#numbers[this.#count++] = number;
    return this;
  }

  /** Its length and its elements. */
  putList(numbers: readonly number[]): this {
    this.put(numbers.length);
    for (let i = 0; i < numbers.length; ++i) this.put(numbers[i] as number);
    return this;
  }

  #grow(): void {
    const before = this.#numbers;
    this.#numbers = binding.frame(2 * before.length);
    this.#numbers.set(before);
  }
}

export const frame = new Frame();
