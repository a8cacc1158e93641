#!/usr/bin/env bash
# evaluation.sh [OTHER] [--runs N]: what `list` costs on large inputs, as a Markdown table; with the path of another release build
# of the program, both in turns. Needs GNU time; set BINARY to measure another than this checkout's.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=5 other=
while (($#)); do
  case $1 in
  --runs) runs=$2 && shift ;;
  *) other=$(realpath "$1") ;;
  esac
  shift
done
# shellcheck source=benches/measure.sh
source benches/measure.sh
if [[ -z ${BINARY:-} ]]; then cargo build --quiet --release --bins; fi
binary=$(realpath "$binary")

machine
# shellcheck disable=SC2016 # Markdown
printf '\n| `list` of | %swall s | CPU s | peak MiB |\n|---|%s---:|---:|---:|\n' "${other:+before: wall s | CPU s | peak MiB | }" "${other:+---:|---:|---:|}"
# row LABEL MAKE ARGUMENT...
row() {
  local label=$1 make=$2 folder
  shift 2
  folder=$work/$make-$*
  "benches/$make.sh" "$folder" "$@"
  rm -rf "$work/figures"
  for ((n = 0; n < runs; n++)); do
    if [[ -n $other ]]; then once before "$other" list "$folder"; fi
    once after "$binary" list "$folder"
  done
  printf '| %s | ' "$label"
  if [[ -n $other ]]; then printf '%s | %s | %s | ' "$(seconds before 1)" "$(seconds before 2)" "$(mebibytes before)"; fi
  printf '%s | %s | %s |\n' "$(seconds after 1)" "$(seconds after 2)" "$(mebibytes after)"
}
row "a flake of 3,000 lines, ten services" make-flake
row "1,000 packages in one file" make-flat 1000
row "2,000 packages in one file" make-flat 2000
row "4,000 packages in one file" make-flat 4000
row "150 repositories side by side, 8,000 Nix files" make-tree 150
row "750 repositories, 40,000 Nix files" make-tree 750
