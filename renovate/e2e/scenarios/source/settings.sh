# shellcheck shell=bash disable=SC2034,SC2154,SC2317,SC2329 # sourced by run.sh
# A tag of a source on GitHub: version, the source's hash and npmDepsHash in one commit.
REPOSITORY=source
LOCKFILE=no
ARCHIVES=yes

also() {
  local lines
  lines=$(git --git-dir "$bare" diff --numstat "main..$whole" -- flake.nix | cut -f1,2)
  [ "$lines" = $'3\t3' ] || fail "not version, hash and npmDepsHash alone were changed: $lines"
}
