#!/usr/bin/env bash
# against.sh OTHER [--runs N] [--delay MS] [--shape "ARGUMENT..."]: this build against another build of the program, as a
# Markdown table.
#
# A local server with a made-up repository (by default of ten services, 1,600 entries, 816 tarballs, 130 MB; ARGUMENTs are those
# of examples/synthetic.rs); runs of curl and the two builds alternate, so that a slow minute of the machine slows all. OTHER is
# the path of a release build; set BINARY to measure another than this checkout's.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=7 delay=20 other='' shape="--packages 816 --bytes 130000000 --services 10 --each 160"
while (($#)); do
  case $1 in
  --runs) runs=$2 && shift ;;
  --delay) delay=$2 && shift ;;
  --shape) shape=$2 && shift ;;
  *) other=$(realpath "$1") ;;
  esac
  shift
done
[[ -x $other ]] || { sed -n 2,8p "$0" && exit 2; }
# shellcheck source=benches/measure.sh
source benches/measure.sh
build
machine
# shellcheck disable=SC2086 # several
serve $shape --delay "$delay"
repository=$work/local/repo

# one NAME BINARY: from nothing on disk to everything remembered, each state once.
one() {
  empty_cache
  once "cold-$1" "$2" check "$repository"
  once "warm-$1" "$2" check --no-memo "$repository"
  once "memo-$1" "$2" check "$repository"
  once "uncached-$1" "$2" check --no-cache "$repository"
  empty_cache
  benches/cores.py "$server" "$2" check "$repository" >>"$work/figures/cores-$1" || [[ $? -eq 1 ]]
}

for ((n = 0; n < runs; n++)); do
  empty_cache
  download "$work/local/urls"
  rm -rf "$NPM_NIXHASH_CACHE-curl"
  one before "$other"
  one after "$binary"
done

printf '\n| what | wall s, before / after | CPU s, before / after | peak MiB, before / after | ratio of wall times |\n|---|---:|---:|---:|---:|\n'
printf '| curl, 64 at once, to disk | %s | %s | %s | |\n' "$(seconds curl 1)" "$(seconds curl 2)" "$(mebibytes curl)"
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
printf '| fewer than 1.5 cores at work, nothing on disk | %s / %s | | | |\n' "$(seconds cores-before 2)" "$(seconds cores-after 2)"
