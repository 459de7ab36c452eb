// What the peers in JavaScript share: requests and answers as lines of JSON, and the clock.
import { createInterface } from 'node:readline';

export function say(answer) {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

/** Answers requests until there are no more. `answer` may send lines with `say`; then the request is done. */
export async function serve(answer) {
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      await answer(JSON.parse(line));
    } catch (error) {
      say({
        note: String(error?.message ?? error)
          .split('\n')[0]
          .slice(0, 300),
      });
    }
    say({ done: true });
  }
}

/** Seconds of each call of asynchronous functions that take turns, after two calls of each to warm up. */
export async function timeInTurn(functions, { seconds, leastRuns, mostRuns }) {
  const once = async (call, run) => {
    const begin = process.hrtime.bigint();
    await call(run);
    return Number(process.hrtime.bigint() - begin) / 1e9;
  };
  let round = 0;
  for (const call of functions) {
    await once(call, 0);
    round += await once(call, 1);
  }
  const runs = Math.min(Math.max(Math.ceil(seconds / round), leastRuns), mostRuns);
  const samples = functions.map(() => []);
  for (let run = 2; run < runs + 2; ++run) {
    for (const [i, call] of functions.entries()) samples[i].push(await once(call, run));
  }
  return samples;
}

/** Normally distributed numbers. */
export function normal(count, deviation = 1) {
  const values = new Float32Array(count);
  for (let i = 0; i < count; ++i) {
    const radius = Math.sqrt(-2 * Math.log(1 - Math.random()));
    values[i] = deviation * radius * Math.cos(2 * Math.PI * Math.random());
  }
  return values;
}

/** In how many sets inputs are rotated, so that no cache holds the next one. */
export function setsFor(numbers, pastBytes) {
  return Math.max(2, Math.min(16, 1 + Math.ceil(pastBytes / (4 * numbers))));
}

export function sideOf({ size, kernel, stride }) {
  return Math.floor((size + 2 * ((kernel - 1) / 2) - kernel) / stride) + 1;
}

/** SphereConv's sigmoid operator, g(c) = tanh(asin(c) / 2k) / tanh(π / 4k). */
export const EPSILON = 1e-4;
export const INNER = 1 / (2 * 0.3);
export const OUTER = 1 / Math.tanh(Math.PI / (4 * 0.3));
