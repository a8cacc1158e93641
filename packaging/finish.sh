#!/usr/bin/env bash
# finish.sh RELEASE NPM: completes a folder of archives that build.sh made: an SBOM of all platforms, and SHA256SUMS; and into
# NPM the npm packages of the same archives, NOTES.md, what CHANGELOG.md says of this version, and package.nix for nixpkgs.
#
# PARTIAL=1, for a trial: platforms may be missing, and a heading in CHANGELOG.md. SBOM=0: no SBOM.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ $# -eq 2 ] || { sed -n '2,5p' packaging/finish.sh && exit 2; }
release=$(realpath "$1")
mkdir -p "$2"
npm=$(realpath "$2")
# shellcheck source=packaging/version.sh
source packaging/version.sh

[ "${SBOM:-1}" = 0 ] || packaging/sbom.sh all "$release/npm-nixhash-v$version.cdx.json"
# What stands below the version's heading, up to the next one.
awk -v heading="## $version" 'index($0, heading) == 1 { on = 1; next } on && /^## / { exit } on' CHANGELOG.md >"$npm/NOTES.md"
[ "${PARTIAL:-0}" = 1 ] || grep -q . "$npm/NOTES.md" || { echo "finish.sh: CHANGELOG.md has nothing under ## $version" >&2 && exit 1; }
sed -e "s|OWNER|${repository%%/*}|" -e "s|VERSION|$version|" packaging/nixpkgs/package.nix >"$npm/package.nix"
rm -f "$release/SHA256SUMS"
(cd "$release" && find . -maxdepth 1 -type f -printf '%P\n' | sort | xargs sha256sum --) >"$npm/SHA256SUMS"
mv "$npm/SHA256SUMS" "$release/SHA256SUMS"
node packaging/npm/build.mjs "$release" "$npm"
