#!/usr/bin/env node
import { availableParallelism } from 'node:os';
import { run } from './program';

// Pictures are decoded on Node's thread pool, which has four threads unless this says otherwise before its first use.
process.env.UV_THREADPOOL_SIZE ??= String(Math.max(4, availableParallelism()));

// `spherenet … | head` closes the pipe when it has enough: the end, as for any program, and no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

// Not process.exit: what was written to a pipe would be lost.
void run(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
