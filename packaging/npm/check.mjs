// check.mjs OUT: what no machine of one kind can install: every platform's package that build.mjs made in OUT is limited to
// its platform, holds its program and nothing that runs at install, and `npm-nixhash` names it with its version.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const EXPECTED = { 'linux-x64': '', 'linux-arm64': '', 'darwin-x64': '', 'darwin-arm64': '', 'win32-x64': '.exe' };
const out = process.argv[2];
const manifest = (name) => JSON.parse(fs.readFileSync(path.join(out, name, 'package.json'), 'utf8'));
const packed = (name) => JSON.parse(execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: path.join(out, name), encoding: 'utf8' }));
const main = manifest('npm-nixhash');
assert.deepEqual(Object.keys(main.optionalDependencies).sort(), Object.keys(EXPECTED).map((platform) => `npm-nixhash-${platform}`).sort());
for (const [platform, suffix] of Object.entries(EXPECTED)) {
  const name = `npm-nixhash-${platform}`;
  const { os, cpu, version, scripts, dependencies } = manifest(name);
  assert.deepEqual([os, cpu], [[platform.split('-')[0]], [platform.split('-')[1]]], name);
  assert.equal(version, main.optionalDependencies[name], name);
  assert.deepEqual([scripts, dependencies, main.scripts], [undefined, undefined, undefined], name);
  const files = packed(name)[0].files.map((file) => file.path).sort();
  assert.deepEqual(files, ['LICENSE', `bin/npm-nixhash${suffix}`, 'package.json'], name);
  fs.accessSync(path.join(out, name, `bin/npm-nixhash${suffix}`), fs.constants.X_OK);
}
console.log(`npm: ${Object.keys(EXPECTED).length} platforms`);
