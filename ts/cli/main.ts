#!/usr/bin/env node
import { run } from './program';

// Not process.exit: what was written to a pipe would be lost.
void run(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
