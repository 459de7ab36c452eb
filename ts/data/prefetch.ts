/** At most so many tasks at once; the others wait in order. */
export class Slots {
  private running = 0;
  private isClosed = false;
  private readonly waiting: (() => void)[] = [];

  constructor(private readonly count: number) {}

  /** Runs a task when it is its turn. Rejects with {@link SlotsClosed} where its turn comes after `close`. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.running < this.count) ++this.running;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    try {
      if (this.isClosed) throw new SlotsClosed();
      return await task();
    } finally {
      // Whoever waits takes the slot over.
      const next = this.waiting.shift();
      if (next === undefined) --this.running;
      else next();
    }
  }

  /** From now on no task is begun; those that run go on. */
  close(): void {
    this.isClosed = true;
  }
}

/** What becomes of tasks whose turn never came. */
export class SlotsClosed extends Error {
  constructor() {
    super('no further task is begun');
  }
}

/**
 * What `make` makes of 0 … count − 1, in that order, whichever is ready first. While one is used, `ahead` others are
 * being made or ready. A failure is met when it is its turn. Whatever happens, all that was begun has settled when
 * this ends.
 *
 * @param stop called at the end, so that what is being made can end early
 */
export async function* prefetched<T>(
  count: number,
  ahead: number,
  make: (place: number) => Promise<T>,
  stop: () => void,
): AsyncGenerator<T, void, undefined> {
  const begun: Promise<T>[] = [];
  let next = 0;
  const fill = (size: number): void => {
    for (; next < count && begun.length < size; ++next) {
      const item = make(next);
      begun.push(item);
      // A failure is met where it is awaited; until then it must not count as unhandled.
      item.catch(() => undefined);
    }
  };
  try {
    for (let place = 0; place < count; ++place) {
      fill(Math.max(1, ahead));
      const item = await (begun[0] as Promise<T>);
      void begun.shift();
      fill(ahead);
      yield item;
    }
  } finally {
    stop();
    await Promise.allSettled(begun);
  }
}
