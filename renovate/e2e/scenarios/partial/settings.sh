# shellcheck shell=bash disable=SC2034,SC2154,SC2317,SC2329 # sourced by run.sh
# The registry of one service is down, and nothing is kept on disk: the branch of the other service is right, and Renovate
# says which one failed.
REFUSE=1000000
STATUS=403
ONLY='/(is-odd|is-string|kind-of|is-buffer|has-tostringtag|has-symbols|call-bind)/'
EXPECT=problem

before() { rm -rf "$HOME/.cache/npm-nixhash" "$HOME/.npm"; }

also() {
  local lines
  git clone -q "$bare" "$run/partial"
  git -C "$run/partial" checkout -q renovate/is-number-7.x || { fail "there is no branch of the service that is up" && return; }
  lines=$(git -C "$run/partial" diff --numstat origin/main HEAD -- flake.nix | cut -f1,2)
  [ "$lines" = $'1\t1' ] || fail "not one hash was changed on the branch of the service that is up: $lines"
  (cd "$run/partial" && "$program" check service-a >"$run/partial.out" 2>&1) || {
    cat "$run/partial.out" && fail "the hash of the service that is up is not right"
  }
  comments | grep -qF 'services/b/package-lock.json' || fail "the comment does not name what failed"
}
