# shellcheck shell=bash disable=SC2034,SC2154,SC2317,SC2329 # sourced by run.sh
# A registry that refuses the first two requests of the program.
REFUSE=2

also() {
  [ "$(grep -c '^503 ' "$run/state/registry.log")" = 2 ] || fail "the registry did not refuse two requests"
  grep -q '^passed on ' "$run/state/registry.log" || fail "nothing was asked for again"
}
