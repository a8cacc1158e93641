#!/usr/bin/env bash
# Finds the program; its path becomes the step's output `program`.
#
#   BINARY     a program to use
#   BUILD=true builds it from the action's sources (ACTION_PATH) with cargo
#   otherwise  the release of the version that the action's own Cargo.toml names, for this machine, from RELEASES (a mirror)
#              or the action's repository; it counts only if its checksum is that of the release's SHA256SUMS, and is kept
#              in the runner's tool cache. Needs curl and tar, no cargo.
set -euo pipefail

refuse() {
  echo "::error::$1"
  exit 2
}

field() { sed -n '/^\[package\]/,/^\[/s/^'"$1"' = "\(.*\)"$/\1/p' "$ACTION_PATH/Cargo.toml"; }

target() {
  case $(uname -s)-$(uname -m) in
  Linux-x86_64) echo x86_64-unknown-linux-musl ;;
  Linux-aarch64 | Linux-arm64) echo aarch64-unknown-linux-musl ;;
  Darwin-x86_64) echo x86_64-apple-darwin ;;
  Darwin-arm64) echo aarch64-apple-darwin ;;
  MINGW*-x86_64 | MSYS*-x86_64) echo x86_64-pc-windows-msvc ;;
  *) refuse "there is no release for $(uname -s) on $(uname -m); set the input build: true where the runner has cargo" ;;
  esac
}

# releases: the address below which the files of each version are.
releases() {
  local repository=${ACTION_REPOSITORY:-}
  if [ -n "${RELEASES:-}" ]; then
    echo "${RELEASES%/}"
  elif [ -n "$repository" ]; then
    # Forgejo and Gitea say the whole address of an action that lies elsewhere.
    case $repository in http*://*) ;; *) repository=${GITHUB_SERVER_URL:?}/$repository ;; esac
    echo "${repository%.git}/releases/download"
  else
    echo "$(field repository)/releases/download"
  fi
}

fetch() { # fetch URL FILE
  curl --fail --silent --show-error --location --retry 3 --connect-timeout 20 --max-time 300 --output "$2" "$1" ||
    refuse "cannot download $1; behind a mirror set the input releases, where the runner has cargo build: true"
}

checksum() { if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1; }

download() {
  local version target name archive folder base work expected program=npm-nixhash
  version=$(field version) target=$(target)
  name=npm-nixhash-v$version-$target
  archive=$name.tar.gz
  case $target in *-windows-*) archive=$name.zip program=npm-nixhash.exe ;; esac
  folder=${RUNNER_TOOL_CACHE:-${RUNNER_TEMP:?}}/npm-nixhash/$version/$target
  if [ ! -e "$folder.complete" ]; then
    base=$(releases)/v$version
    work=$(mktemp -d)
    fetch "$base/SHA256SUMS" "$work/SHA256SUMS"
    fetch "$base/$archive" "$work/$archive"
    expected=$(awk -v name="$archive" '$2 == name || $2 == "*" name { print $1 }' "$work/SHA256SUMS")
    [ -n "$expected" ] || refuse "the SHA256SUMS of v$version do not name $archive"
    [ "$(checksum "$work/$archive")" = "$expected" ] || refuse "$archive is not what its release's SHA256SUMS say: nothing was installed"
    case $archive in *.zip) unzip -q "$work/$archive" -d "$work" ;; *) tar -xzf "$work/$archive" -C "$work" ;; esac
    mkdir -p "$folder"
    mv "$work/$name/$program" "$folder/$program"
    rm -rf "$work"
    touch "$folder.complete"
  fi
  echo "$folder/$program"
}

if [ -n "${BINARY:-}" ]; then
  program=$(command -v -- "$BINARY") || refuse "the input binary names no program"
elif [ "${BUILD:-}" = true ]; then
  root=${RUNNER_TEMP:?}/npm-nixhash
  cargo install --quiet --locked --path "$ACTION_PATH" --root "$root"
  program=$root/bin/npm-nixhash
else
  # Not `$(...)` in one line with a use: the exit code of refuse has to end this script.
  program=$(download) || { echo "$program" && exit 2; }
fi
"$program" --version
printf 'program=%s\n' "$(realpath "$program")" >>"$GITHUB_OUTPUT"
