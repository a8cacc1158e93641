# shellcheck shell=bash disable=SC2034,SC2154,SC2317,SC2329 # sourced by run.sh
# One derivation cannot be decided: a warning, and the other one is updated all the same.
REPOSITORY=undecided

also() {
  grep -q 'warning: .*service-b is undecided' "$run/output.log" || fail "nothing was said about the undecided one"
  ! cut -f2 "$run/calls.tsv" | grep -qv '^0$' || fail "a call failed"
}
