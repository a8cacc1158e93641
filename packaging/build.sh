#!/usr/bin/env bash
# build.sh TARGET OUT: OUT/npm-nixhash-vVERSION-TARGET.tar.gz (Windows: .zip) with the program, its completions, manual pages,
# an SBOM, README, CHANGELOG and LICENSE. Exit code 0 only if the program in it runs, where this machine can run it, and a
# program for musl is static.
#
# PROGRAM: a program that is built already for TARGET. TOOL: one that runs here, to write completions and manual pages, when
# TARGET's does not. SBOM=0: no SBOM. An archive is the same for the same commit and program: names sorted, no owner, the
# commit's date.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ $# -eq 2 ] || { sed -n '2,8p' packaging/build.sh && exit 2; }
target=$1
mkdir -p "$2"
out=$(cd "$2" && pwd)
# shellcheck source=packaging/version.sh
source packaging/version.sh
name=npm-nixhash-v$version-$target
suffix=
case $target in *-windows-*) suffix=.exe ;; esac

program=${PROGRAM:-}
if [ -z "$program" ]; then
  [ -d "$(rustc --print target-libdir --target "$target")" ] || {
    echo "build.sh: Rust's standard library for $target is not installed: rustup target add $target" >&2
    exit 1
  }
  cargo build --release --locked --target "$target"
  program=${CARGO_TARGET_DIR:-target}/$target/release/npm-nixhash$suffix
  # One program for every distribution: nothing of the machine's is loaded.
  case $target in
  *-linux-musl)
    if readelf --program-headers "$program" | grep -q INTERP; then
      echo "build.sh: $program is not static" >&2
      exit 1
    fi
    ;;
  esac
fi
tool=${TOOL:-$program}
[ "$("$tool" --version)" = "npm-nixhash $version" ] || { echo "build.sh: $tool is not version $version" >&2 && exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/$name/completions" "$work/$name/man"
cp "$program" "$work/$name/npm-nixhash$suffix"
cp README.md CHANGELOG.md LICENSE "$work/$name/"
for shell in bash zsh fish elvish powershell; do
  "$tool" completions "$shell" >"$work/$name/completions/npm-nixhash.$shell"
done
"$tool" man "$work/$name/man"
[ "${SBOM:-1}" = 0 ] || packaging/sbom.sh "$target" "$work/$name/npm-nixhash.cdx.json"

if [ -n "$suffix" ]; then
  (cd "$work" && rm -f "$out/$name.zip" && 7z a -tzip -bso0 "$out/$name.zip" "$name")
else
  date=$(git log -1 --format=%ct 2>/dev/null || echo 0)
  # macOS has bsdtar, which knows no --sort; the runner's GNU tar is gtar there.
  tar=$(command -v gtar || command -v tar)
  "$tar" --sort=name --mtime="@$date" --owner=0 --group=0 --numeric-owner --mode=go=rX,u+rw -C "$work" -cf - "$name" |
    gzip -n -9 >"$out/$name.tar.gz"
fi
echo "$name"
