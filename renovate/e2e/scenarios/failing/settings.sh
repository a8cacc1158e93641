# shellcheck shell=bash disable=SC2034,SC2154,SC2317,SC2329 # sourced by run.sh
# A registry that lets nobody in: Renovate says so in a comment that is short, and the hash stays as it
# was. (Packages that npm itself fetched are had from its cache.)
REFUSE=1000000
STATUS=403
EXPECT=problem

also() {
  local lines
  comments
  lines=$(awk 'length($0) { n++ } END { print n + 0 }' "$run/stderr")
  ((lines >= 1 && lines <= 20)) || fail "standard error has $lines lines"
  comments | grep -qF "$(head -n 1 "$run/stderr")" || fail "the comment does not tell what the program said"
  git --git-dir "$bare" diff --quiet main renovate/is-number-7.x -- flake.nix || fail "a hash was changed although the run failed"
}
