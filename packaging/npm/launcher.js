#!/usr/bin/env node
// Starts the program of this platform's package, with the same arguments, streams and exit code.
'use strict';
const { spawn } = require('node:child_process');

const name = `npm-nixhash-${process.platform}-${process.arch}`;
let program;
try {
  program = require.resolve(`${name}/bin/npm-nixhash${process.platform === 'win32' ? '.exe' : ''}`);
} catch {
  console.error(`error: the package ${name}, which holds the program for this platform, is not installed
  hint: reinstall without --omit=optional; if there is no such package, build from source: see README.md`);
  process.exit(2);
}

const child = spawn(program, process.argv.slice(2), { stdio: 'inherit' });
// The terminal sends them to the program as well, which ends in its own time; others are handed on.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    if (signal !== 'SIGINT') child.kill(signal);
  });
}
child.on('error', (error) => {
  console.error(`error: cannot run ${program}: ${error.message}`);
  process.exit(2);
});
child.on('exit', (code, signal) => {
  if (signal) {
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  } else {
    process.exit(code);
  }
});
