#!/usr/bin/env bash
# growth.sh: how time and memory grow with the lockfile and with the number of services, on a local server.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=benches/measure.sh
source benches/measure.sh
build

# sizes LABEL ARGUMENT...: one line of the table.
sizes() {
  local label=$1 repository=$work/local/repo
  shift
  serve "$@"
  rm -rf "$work/figures"
  for _ in 1 2 3; do
    empty_cache
    once uncached "$binary" check --no-cache "$repository"
    once cold "$binary" check "$repository"
    once warm "$binary" check --no-memo "$repository"
    once memo "$binary" check "$repository"
  done
  printf '| %s |' "$label"
  for name in uncached cold warm memo; do
    printf ' %s s, %s s, %s MiB |' "$(seconds $name 1)" "$(seconds $name 2)" "$(mebibytes $name)"
  done
  printf '\n'
}

head() {
  # shellcheck disable=SC2016 # Markdown
  printf '\n| %s | `--no-cache` | nothing on disk | `--no-memo`, all on disk | unchanged |\n|---|---|---|---|---|\n' "$1"
}

machine
printf 'Each cell: wall time, CPU time, peak memory.\n'
head "packages in one lockfile, 20 kB each"
for n in 10 100 1000 10000; do sizes "$n" --packages "$n" --bytes $((n * 20000)); done
head "services, 20 packages each, half of them shared with the next"
for n in 1 10 100 1000; do
  sizes "$n" --packages $((n * 10 + 10)) --bytes $((n * 200000 + 200000)) --services "$n" --each 20
done
head "one lockfile"
sizes "2,700 packages, 300 MB" --packages 2700 --bytes 300000000
