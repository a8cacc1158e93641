# shellcheck shell=bash disable=SC2034,SC2154,SC2317,SC2329 # sourced by run.sh
# The registry of one service is down, and nothing is kept on disk: the branches of the other service are right and green,
# and Renovate says which one failed.
REFUSE=1000000
STATUS=403
ONLY='/(is-odd|is-string|kind-of|is-buffer|has-tostringtag|has-symbols|call-bind)/'
EXPECT=problem

before() { rm -rf "$HOME/.cache/npm-nixhash" "$HOME/.npm"; }

# Branches whose last commit has a status that is no success.
red_branches() {
  local branch head
  while read -r branch head; do
    # shellcheck disable=SC2016 # JavaScript
    node -e '
      const statuses = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"));
      const last = {};
      for (const one of statuses[`acme/demo@${process.argv[2]}`] ?? []) last[one.context] = one.status;
      process.exit(Object.values(last).some((status) => ["failure", "error"].includes(status)) ? 0 : 1);
    ' "$run/state/statuses.json" "$head" && echo "$branch"
  done < <(heads)
  return 0
}

also() {
  local lines reds
  git clone -q "$bare" "$run/partial"
  git -C "$run/partial" checkout -q renovate/is-number-7.x || { fail "there is no branch of the service that is up" && return; }
  lines=$(git -C "$run/partial" diff --numstat origin/main HEAD -- flake.nix | cut -f1,2)
  [ "$lines" = $'1\t1' ] || fail "not one hash was changed on the branch of the service that is up: $lines"
  (cd "$run/partial" && "$program" check service-a >"$run/partial.out" 2>&1) || {
    cat "$run/partial.out" && fail "the hash of the service that is up is not right"
  }
  # service-a has is-number and ms, service-b the rest.
  reds=$(red_branches)
  [ -n "$reds" ] || fail "no branch is red although a registry is down"
  ! grep -q '/\(is-number\|ms\)-' <<<"$reds" || fail "a branch of the service that is up is red: $reds"
  ! comments | grep -q 'services/a/' || fail "a comment names the service that is up"
  comments | grep -qF 'services/b/package-lock.json' || fail "the comment does not name what failed"
}
