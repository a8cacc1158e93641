# shellcheck shell=bash disable=SC2034,SC2154,SC2317,SC2329 # sourced by run.sh
# Three of ten services in one branch, their hashes in three kinds of files.
REPOSITORY=monorepo
HASH_FILES=(flake.nix hashes.json services/i/npm-deps.hash)

also() {
  local lines
  [ "$(heads | wc -l)" = 1 ] || fail "more than one branch"
  lines=$(git --git-dir "$bare" diff --numstat "main..$whole" -- "${HASH_FILES[@]}" | awk '{ print $1 "+" $2 "-" }' | tr '\n' ' ')
  [ "$lines" = "1+1- 1+1- 1+1- " ] || fail "other lines of the hash files were changed: $lines"
}
