# shellcheck shell=bash disable=SC2034,SC2154,SC2317,SC2329 # sourced by run.sh
# Three programs without a lockfile, bumped in one group: a URL without a comment, a tarball for each system, a JSON file.
REPOSITORY=programs
HASH_FILES=(flake.nix pins.json)
LOCKFILE=no

also() {
  local lines
  [ "$found" = 1 ] || fail "not one branch, but $found"
  # A URL with its hash, and a version with the hashes of three systems; in the JSON file version, URL and hash.
  lines=$(git --git-dir "$bare" diff --numstat "main..$whole" | cut -f1,2 | tr '\n\t' ' /')
  [ "$lines" = '6/6 3/3 ' ] || fail "not versions, URLs and hashes alone were changed: $lines"
}
