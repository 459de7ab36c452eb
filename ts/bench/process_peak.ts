import { readFileSync } from 'node:fs';

/** Most memory that the process has held, as the system counts pages in use. */
export interface ProcessPeak {
  readonly bytes: number;
  /**
   * Whether it is of this program alone. Linux' `maxRSS` starts at what the process that started this one held when it
   * did, so that a child of a large parent looks large whatever it does.
   */
  readonly own: boolean;
}

/** The peak of this process so far: the high-water mark of its memory where Linux tells it, else `maxRSS`. */
export function processPeak(): ProcessPeak {
  const own = highWaterMark(statusOfProcess());
  return own === null
    ? { bytes: process.resourceUsage().maxRSS * 1024, own: false }
    : { bytes: own, own: true };
}

/** In bytes, from the text of /proc/self/status; null where it is not in it. */
export function highWaterMark(status: string | null): number | null {
  const [, kilobytes] = /^VmHWM:\s*(\d+) kB$/m.exec(status ?? '') ?? [];
  return kilobytes === undefined ? null : Number(kilobytes) * 1024;
}

function statusOfProcess(): string | null {
  try {
    return readFileSync('/proc/self/status', 'utf8');
  } catch {
    return null; // Not Linux, or /proc is not mounted.
  }
}
