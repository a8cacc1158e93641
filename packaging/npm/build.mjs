// build.mjs RELEASE OUT: the npm packages of a release: OUT/npm-nixhash, and one folder for each archive in RELEASE.
//
// `npm-nixhash` holds a launcher of some lines and names the others as optional dependencies, each limited to its platform,
// so that npm installs the one that fits: no script runs at install, nothing is downloaded but by npm itself.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

// Rust's target beside npm's words. The Linux programs are static: they run with glibc and musl alike.
const PLATFORMS = {
  'x86_64-unknown-linux-musl': { os: 'linux', cpu: 'x64' },
  'aarch64-unknown-linux-musl': { os: 'linux', cpu: 'arm64' },
  'x86_64-apple-darwin': { os: 'darwin', cpu: 'x64' },
  'aarch64-apple-darwin': { os: 'darwin', cpu: 'arm64' },
  'x86_64-pc-windows-msvc': { os: 'win32', cpu: 'x64' },
};

const [release, out] = process.argv.slice(2);
if (!out) {
  console.error('usage: build.mjs RELEASE OUT');
  process.exit(2);
}
const here = import.meta.dirname;
const root = path.join(here, '../..');
const cargo = fs.readFileSync(path.join(root, 'Cargo.toml'), 'utf8');
const field = (name) => cargo.match(new RegExp(`^${name} = "(.*)"$`, 'm'))[1];
const version = field('version');
const common = {
  version,
  license: field('license'),
  repository: { type: 'git', url: `git+${field('repository')}.git` },
};

function write(folder, manifest, files) {
  fs.mkdirSync(path.join(folder, 'bin'), { recursive: true });
  fs.writeFileSync(path.join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  fs.copyFileSync(path.join(root, 'LICENSE'), path.join(folder, 'LICENSE'));
  for (const [name, from] of Object.entries(files)) fs.copyFileSync(from, path.join(folder, name));
}

// Unpacks an archive of build.sh, and answers the folder in it.
function unpack(archive, name) {
  const work = fs.mkdtempSync(path.join(out, '.unpacked-'));
  if (archive.endsWith('.zip')) execFileSync('7z', ['x', '-bso0', `-o${work}`, archive]);
  else execFileSync('tar', ['-xzf', archive, '-C', work]);
  return { work, folder: path.join(work, name) };
}

fs.mkdirSync(out, { recursive: true });
const optionalDependencies = {};
for (const [target, { os, cpu }] of Object.entries(PLATFORMS)) {
  const name = `npm-nixhash-v${version}-${target}`;
  const archive = ['.tar.gz', '.zip'].map((end) => path.join(release, name + end)).find((file) => fs.existsSync(file));
  // A release without a platform must not be published as if it had it.
  if (!archive) {
    if (process.env.PARTIAL === '1') continue;
    console.error(`build.mjs: ${name} is not in ${release} (PARTIAL=1 leaves platforms out)`);
    process.exit(1);
  }
  const { work, folder } = unpack(archive, name);
  const program = os === 'win32' ? 'bin/npm-nixhash.exe' : 'bin/npm-nixhash';
  const manifest = {
    name: `npm-nixhash-${os}-${cpu}`,
    ...common,
    description: `npm-nixhash for ${os} on ${cpu}`,
    os: [os],
    cpu: [cpu],
    files: ['bin', 'LICENSE'],
    preferUnplugged: true,
  };
  write(path.join(out, manifest.name), manifest, { [program]: path.join(folder, path.basename(program)) });
  fs.chmodSync(path.join(out, manifest.name, program), 0o755);
  fs.rmSync(work, { recursive: true });
  optionalDependencies[manifest.name] = version;
}

const manifest = {
  name: 'npm-nixhash',
  ...common,
  description: field('description'),
  keywords: ['nix', 'npmDepsHash', 'buildNpmPackage', 'lockfile', 'renovate'],
  bin: { 'npm-nixhash': 'bin/npm-nixhash.js' },
  files: ['bin', 'LICENSE', 'README.md'],
  engines: { node: '>=18' },
  optionalDependencies,
};
write(path.join(out, 'npm-nixhash'), manifest, {
  'bin/npm-nixhash.js': path.join(here, 'launcher.js'),
  'README.md': path.join(root, 'README.md'),
});
fs.chmodSync(path.join(out, 'npm-nixhash', 'bin/npm-nixhash.js'), 0o755);
console.log([...Object.keys(optionalDependencies), 'npm-nixhash'].join('\n'));
