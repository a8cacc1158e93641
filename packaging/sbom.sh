#!/usr/bin/env bash
# sbom.sh TARGET FILE: what the program for TARGET (or for `all`) is made of, as CycloneDX JSON, by cargo-cyclonedx: every
# crate with its version, checksum and license. The same for the same commit: dated by it, no path of this machine in it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ $# -eq 2 ] || { sed -n '2,3p' packaging/sbom.sh && exit 2; }
command -v cargo-cyclonedx >/dev/null || {
  echo "sbom.sh: no cargo-cyclonedx: cargo install --locked cargo-cyclonedx@0.5.9, or SBOM=0 for a build without an SBOM" >&2
  exit 1
}
# It writes beside the Cargo.toml of each crate and nowhere else.
name=.sbom-$$
trap 'rm -f "$name.json" crates/*/"$name.json"' EXIT
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 0) \
  cargo cyclonedx --quiet --format json --spec-version 1.5 --target "$1" --override-filename "$name"
node - "$name.json" "$2" <<'J'
const fs = require('node:fs');
const [from, to] = process.argv.slice(2);
const root = require('node:url').pathToFileURL(process.cwd()).href;
const text = fs.readFileSync(from, 'utf8').replaceAll(root, 'file:///npm-nixhash');
const { metadata, components } = JSON.parse(text);
if (metadata.component['bom-ref'].startsWith('path+file:///npm-nixhash#') && components.length > 100) fs.writeFileSync(to, text);
else throw new Error(`not the SBOM that was expected: ${metadata.component['bom-ref']} with ${components.length} components`);
J
