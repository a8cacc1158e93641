#!/usr/bin/env bash
# against.sh OTHER [--runs N] [--delay MS]: this build against another build of the program, as a Markdown table.
#
# A local server with a made-up repository of ten services, 1,600 entries, 816 tarballs, 130 MB; runs of the two alternate, so that a slow
# minute of the machine slows both. OTHER is the path of a release build; set BINARY to measure another than this checkout's.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=7 delay=20 other=
while (($#)); do
  case $1 in
  --runs) runs=$2 && shift ;;
  --delay) delay=$2 && shift ;;
  *) other=$(realpath "$1") ;;
  esac
  shift
done
[[ -x $other ]] || { sed -n 2,5p "$0" && exit 2; }
# shellcheck source=benches/measure.sh
source benches/measure.sh
build
machine
serve --packages 816 --bytes 130000000 --services 10 --each 160 --delay "$delay"
repository=$work/local/repo

# one NAME BINARY: from nothing on disk to everything remembered, each state once.
one() {
  empty_cache
  once "cold-$1" "$2" check "$repository"
  once "warm-$1" "$2" check --no-memo "$repository"
  once "memo-$1" "$2" check "$repository"
  once "uncached-$1" "$2" check --no-cache "$repository"
}

for ((n = 0; n < runs; n++)); do
  one before "$other"
  one after "$binary"
done

printf '\n| what | wall s, before / after | CPU s, before / after | peak MiB, before / after | ratio of wall times |\n|---|---:|---:|---:|---:|\n'
# row LABEL NAME
row() {
  printf '| %s | %s / %s | %s / %s | %s / %s | %s x |\n' "$1" "$(seconds "$2-before" 1)" "$(seconds "$2-after" 1)" \
    "$(seconds "$2-before" 2)" "$(seconds "$2-after" 2)" "$(mebibytes "$2-before")" "$(mebibytes "$2-after")" \
    "$(paired "$2-after" "$2-before")"
}
row "\`check\`, nothing on disk" cold
row "\`check --no-cache\`" uncached
row "\`check --no-memo\`, all on disk" warm
row "\`check\`, unchanged" memo
