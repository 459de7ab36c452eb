import { Presets, SingleBar } from 'cli-progress';

/** Shows a run of benchmarks to a person. */
export interface BenchProgress {
  /** What runs now, the first being 0. */
  begin(place: number, total: number, name: string): void;
  stop(): void;
}

/** A bar on a terminal; elsewhere a line for each benchmark. */
export function createProgress(stream: NodeJS.WriteStream, log: (line: string) => void): BenchProgress {
  if (!stream.isTTY) {
    return {
      begin: (place, total, name) => {
        log(`${String(place + 1).padStart(String(total).length)}/${total}  ${name}`);
      },
      stop: () => undefined,
    };
  }
  const bar = new SingleBar(
    // Ctrl-C belongs to the program, which ends the peers.
    {
      stream,
      format: '{value}/{total} [{bar}] {name}',
      barsize: 16,
      fps: 5,
      gracefulExit: false,
      clearOnComplete: true,
    },
    Presets.legacy,
  );
  let started = false;
  return {
    begin(place, total, name) {
      if (!started) bar.start(total, place, { name });
      started = true;
      bar.update(place, { name });
    },
    stop() {
      if (started) bar.stop();
    },
  };
}
