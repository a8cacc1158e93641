#!/usr/bin/env bash
# finish.sh RELEASE NPM: completes a folder of archives that build.sh made: SHA256SUMS, an SBOM (CycloneDX, by
# cargo-cyclonedx), the notes from CHANGELOG.md; and the npm packages of the same archives into NPM.
#
# PARTIAL=1: some platforms are missing. SBOM=0: no SBOM, where cargo-cyclonedx is not installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ $# -eq 2 ] || { sed -n '2,5p' packaging/finish.sh && exit 2; }
release=$(realpath "$1")
mkdir -p "$2"
npm=$(realpath "$2")
# shellcheck source=packaging/version.sh
source packaging/version.sh

if [ "${SBOM:-1}" != 0 ]; then
  cargo cyclonedx --format json --spec-version 1.5 --override-filename npm-nixhash.cdx
  mv npm-nixhash.cdx.json "$release/npm-nixhash-v$version.cdx.json"
fi
rm -f "$release/SHA256SUMS"
# What stands below the version's heading, up to the next one.
awk -v heading="## $version" 'index($0, heading) == 1 { on = 1; next } on && /^## / { exit } on' CHANGELOG.md >"$release/NOTES.md"
sums=$(cd "$release" && find . -maxdepth 1 -type f ! -name NOTES.md -printf '%P\n' | sort | xargs sha256sum --)
echo "$sums" >"$release/SHA256SUMS"
node packaging/npm/build.mjs "$release" "$npm"
