#!/usr/bin/env bash
# conformance.sh REFERENCE PROGRAM [CASE...]: nixpkgs' prefetch-npm-deps (REFERENCE) beside ours (PROGRAM: npm-nixhash), over
# every lockfile of fixtures/lockfiles, or those of some cases, with fetcher versions 1 and 2 and both flags. Prints a line for
# each difference, the first one's details, and exits with 1 if there is any. Both are asked in the same minute, since fetcher
# version 2 depends on what the registry says at present.
#
# Both run with umask 022 and, when started by root, as `nobody`: nixpkgs' tool packs git dependencies with the permissions
# that its user gets. A refusal of both is agreement, their words differ; but not where truth.tsv has a hash: then it says that
# a registry was down or a tool broken, and proves nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ $# -ge 2 ] || { sed -n '2,10p' packaging/conformance.sh && exit 2; }
reference=$(realpath "$1") program=$(realpath "$2")
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/home"
ln -s "$program" "$work/bin/prefetch-npm-deps"
cp -r fixtures/lockfiles "$work/lockfiles"
chmod -R a+rX "$work"
chmod 777 "$work/home"

# hash TOOL LOCKFILE VERSION [NAME=VALUE...]: the hash, or `refused`, with what was said in $work/said.
hash() {
  local tool=$1 lockfile=$2 version=$3
  shift 3
  local as=()
  [ "$(id -u)" != 0 ] || as=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
  (umask 022 && cd "$work/home" && env HOME="$work/home" NPM_FETCHER_VERSION="$version" NPM_NIXHASH_CACHE="$work/home/store" "$@" \
    timeout 600 "${as[@]}" "$tool" "$lockfile") 2>"$work/said" || echo refused
}

# known CASE VERSION VARIABLE: whether truth.tsv has a hash for it.
known() {
  local flag=-
  case $3 in FORCE_GIT_DEPS=1) flag=forceGitDeps ;; FORCE_EMPTY_CACHE=1) flag=forceEmptyCache ;; esac
  awk -F'\t' -v c="$1" -v v="$2" -v f="$flag" '$1 == c && $2 == v && $3 == f && $4 ~ /^sha256-/ { found = 1 } END { exit !found }' fixtures/lockfiles/truth.tsv
}

[ $# -gt 0 ] || mapfile -t all < <(cd "$work/lockfiles" && printf '%s\n' */)
[ $# -gt 0 ] || set -- "${all[@]%/}"
different=0 same=0 refused=0
for name in "$@"; do
  folder=$work/lockfiles/$name
  lockfile=$(find "$folder" -maxdepth 1 -name npm-shrinkwrap.json -o -maxdepth 1 -name package-lock.json | sort | head -n 1)
  [ -n "$lockfile" ] || continue
  for version in 1 2; do
    for flags in "" FORCE_GIT_DEPS=1 FORCE_EMPTY_CACHE=1; do
      # shellcheck disable=SC2086
      theirs=$(hash "$reference" "$lockfile" $version $flags)
      cp "$work/said" "$work/theirs.said"
      # shellcheck disable=SC2086
      ours=$(hash "$work/bin/prefetch-npm-deps" "$lockfile" $version $flags)
      if [ "$theirs" = "$ours" ] && [ "$ours" != refused ]; then
        same=$((same + 1))
        continue
      elif [ "$theirs" = "$ours" ] && ! known "$name" $version "$flags"; then
        refused=$((refused + 1))
        continue
      fi
      different=$((different + 1))
      echo "different: $name, fetcher version $version${flags:+, $flags}: nixpkgs $theirs, npm-nixhash $ours"
      if [ "$different" = 1 ]; then
        echo "nixpkgs' tool said:" && tail -n 20 "$work/theirs.said"
        echo "npm-nixhash said:" && tail -n 20 "$work/said"
      fi
    done
  done
done
echo "$same the same, $refused refused by both, $different different"
[ "$same" -gt 0 ] && [ "$different" = 0 ]
