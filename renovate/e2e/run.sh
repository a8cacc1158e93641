#!/usr/bin/env bash
# run.sh SCENARIO PROGRAM RUN
#
# A real Renovate, a fake Gitea on 127.0.0.1, a repository of its own, and PROGRAM in the place of npm-nixhash. RUN is a
# folder that is made anew. Exit code 0 only if all of this holds:
#   - a renovate/* branch was pushed whose one commit changes a package-lock.json and the file that holds its hash, and
#     Renovate reported no artifact problem (a scenario can expect `nothing` or a `problem` instead);
#   - a second run of Renovate moves no branch;
#   - after one branch is merged, a third run leaves none in conflict with main;
#   - `PROGRAM check` succeeds on every branch;
#   - calls that find the repository as the last one left it are quick;
#   - neither the platform token nor another value of the environment stands in anything the program printed or kept.
#
# A scenario is a folder of scenarios/: renovate.json, which the repository's configuration is made of, and settings.sh,
# which sets REPOSITORY, EXPECT, REFUSE, STATUS and ONLY, HASH_FILES, LOCKFILE and ARCHIVES, and can define `before` and `also`, a check of its own.
#
# Environment: RENOVATE_HOME (where Renovate is, or goes), PRESET (default: ../default.json),
# ALLOWED (allowedCommands).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -eq 3 ] || { sed -n '2,21p' "${BASH_SOURCE[0]}" && exit 2; }
scenario=$1 program=$(realpath "$2") run=$3
preset=$(realpath "${PRESET:-$here/../default.json}")
allowed=${ALLOWED:-^npm-nixhash update --changed-since HEAD\$}

REPOSITORY=sample # a script of repositories/
EXPECT=branch # branch, nothing or problem
REFUSE=0 # how many requests the registry refuses at first; 0: no registry between
STATUS=503 # with what
ONLY= # an expression: requests that it does not match are never refused
HASH_FILES=(flake.nix) # the files that a pushed commit has to change
LOCKFILE=yes # whether a package-lock.json has to be among them
ARCHIVES=no # whether the forge stands in for GitHub's archives
also() { :; }
before() { :; } # what happens to the machine before the first run of Renovate
# shellcheck source=/dev/null
source "$here/scenarios/$scenario/settings.sh"

status=0
say() { printf '== %s\n' "$*"; }
fail() { say "FAIL: $*" && status=1; }

prepare() {
  [ -x "$program" ] || { echo "not executable: $program" >&2 && exit 2; }
  [ ! -e "$run" ] || [ -e "$run/.renovate-e2e" ] || { echo "$run exists and is not ours" >&2 && exit 2; }
  PATH=$("$here/install.sh"):$PATH
  rm -rf "$run"
  mkdir -p "$run/bin" "$run/home" "$run/srv/acme" "$run/checkout"
  touch "$run/.renovate-e2e"
  run=$(realpath "$run")
  ln -s "$program" "$run/program"
  ln -s "$here/command.sh" "$run/bin/npm-nixhash"
  PATH=$run/bin:$PATH
  # The user's own .npmrc and .gitconfig must not matter.
  export HOME=$run/home XDG_CACHE_HOME=$run/home/.cache GIT_CONFIG_NOSYSTEM=1 PATH
  echo 'update-notifier=false' >"$HOME/.npmrc"
  git config --global init.defaultBranch main
  git config --global user.name fixture
  git config --global user.email fixture@example.invalid
}

# publish FOLDER NAME: a folder as the bare repository acme/NAME.
publish() {
  git -C "$1" init -q
  git -C "$1" add -A
  git -C "$1" commit -qm 'initial commit'
  git clone -q --bare "$1" "$run/srv/acme/$2.git"
}

# The repository, with every hash right to start from, and the one that holds the preset.
make_repositories() {
  say "making the repository ($REPOSITORY)"
  "$here/repositories/$REPOSITORY.sh" "$run/checkout"
  node -e '
    const settings = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"));
    const common = { extends: ["config:recommended", "local>acme/npm-nixhash//renovate/default"],
      prHourlyLimit: 0, prConcurrentLimit: 0, fetchChangeLogs: "off" };
    console.log(JSON.stringify({ ...common, ...settings }, null, 2));
  ' "$here/scenarios/$scenario/renovate.json" >"$run/checkout/renovate.json"
  (cd "$run/checkout" && "$program" update)
  publish "$run/checkout" demo
  mkdir -p "$run/preset/renovate"
  cp "$preset" "$run/preset/renovate/default.json"
  publish "$run/preset" npm-nixhash
  bare=$run/srv/acme/demo.git
}

# serve FILE COMMAND...: starts a server and waits until it wrote its port to FILE.
serve() {
  local file=$1
  shift
  "$@" &
  servers+=($!)
  for _ in $(seq 100); do [ -s "$file" ] && return; sleep 0.1; done
  echo "$1 $2 did not start" >&2
  exit 2
}

start_servers() {
  servers=()
  trap 'kill "${servers[@]}" 2>/dev/null || true' EXIT
  token=fake-token-$RANDOM$RANDOM$RANDOM canary=canary-$RANDOM$RANDOM$RANDOM
  serve "$run/state/port" node "$here/gitea/main.mjs" --root "$run/srv" --state "$run/state" --token "$token"
  # For the scripts of repositories/: where other repositories go, and where they are served.
  export SRV=$run/srv FORGE
  FORGE=http://127.0.0.1:$(cat "$run/state/port")
  [ "$ARCHIVES" = no ] || export NIX_NPM_REGISTRY_OVERRIDES="{ \"github.com\": \"$FORGE\" }"
  [ "$REFUSE" = 0 ] || serve "$run/state/registry-port" node "$here/registry.mjs" --state "$run/state" \
    --upstream "$(npm config get registry)" --refuse "$REFUSE" --status "$STATUS" --only "$ONLY"
}

# What an administrator writes.
configure() {
  # shellcheck disable=SC2016 # JavaScript
  RUN=$run TOKEN=$token CANARY=$canary ALLOWED=$allowed node -e '
    const fs = require("fs");
    const { RUN, TOKEN, CANARY, ALLOWED } = process.env;
    const port = (name) => fs.readFileSync(`${RUN}/state/${name}`, "utf8");
    const environment = { CANARY };
    const overrides = JSON.parse(process.env.NIX_NPM_REGISTRY_OVERRIDES || "{}");
    if (fs.existsSync(`${RUN}/state/registry-port`)) {
      overrides["registry.npmjs.org"] = `http://127.0.0.1:${port("registry-port")}`;
    }
    environment.NIX_NPM_REGISTRY_OVERRIDES = JSON.stringify(overrides);
    console.log(JSON.stringify({
      platform: "gitea", endpoint: `http://127.0.0.1:${port("port")}/`, token: TOKEN, repositories: ["acme/demo"],
      onboarding: false, requireConfig: "required", binarySource: "global", baseDir: `${RUN}/base`,
      allowedCommands: [ALLOWED], customEnvVariables: environment,
      hostRules: [{ matchHost: `http://127.0.0.1:${port("port")}/`, hostType: "github", token: TOKEN }],
      gitAuthor: "Renovate Bot <renovate-bot@example.invalid>", githubTokenWarn: false, exitCodeForErrors: true,
    }, null, 2));
  ' >"$run/config.json"
}

renovate_once() {
  local code=0 started=$SECONDS
  RENOVATE_CONFIG_FILE=$run/config.json LOG_LEVEL=debug LOG_FORMAT=json \
    timeout 240 renovate >"$run/renovate-$1.ndjson" 2>"$run/renovate-$1.err" || code=$?
  say "Renovate, run $1: exit code $code after $((SECONDS - started)) s"
  [ "$code" = 0 ] || fail "Renovate failed"
}

heads() { git --git-dir "$bare" for-each-ref --format='%(refname:short) %(objectname)' 'refs/heads/renovate/**'; }

# changes COMMIT FILE...: whether it changes all these files, and a lockfile where there is one.
changes() {
  local commit=$1 files file
  shift
  files=$(git --git-dir "$bare" diff-tree --no-commit-id --name-only -r "$commit")
  [ "$LOCKFILE" = no ] || grep -q '\(^\|/\)package-lock\.json$' <<<"$files" || return 1
  for file in "$@"; do grep -qxF "$file" <<<"$files" || return 1; done
}

# Shows the branches; the last one that carries lockfile and hash is `$whole`, their number `$found`.
look() {
  local branch head
  found=0 whole=
  while read -r branch head; do
    [ -n "$branch" ] || continue
    git --git-dir "$bare" show --stat=100 --format="   $branch: %h %an: %s" "$head"
    if changes "$head" "${HASH_FILES[@]}"; then found=$((found + 1)) whole=$branch; fi
  done < <(heads)
  calls=$(wc -l <"$run/calls.tsv" 2>/dev/null || echo 0)
  say "branches with lockfile and hash in one commit: $found; calls so far: $calls"
}

comments() {
  node -p 'Object.values(JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"))).flat().map((c) => c.body).join("\n")' \
    "$run/state/comments.json"
}

check_outcome() {
  local problem=no
  ! grep -q 'Artifact update problem' "$run/state/comments.json" || problem=yes
  case $EXPECT in
  nothing) [ "$found$calls" = 00 ] || fail "the command was called, or a branch carries a hash" ;;
  problem) [ "$problem" = yes ] || fail "Renovate reported no artifact problem" ;;
  *)
    [ "$found" -gt 0 ] || fail "no branch carries lockfile and hash"
    [ "$problem" = no ] || { comments && fail "Renovate reported an artifact problem"; }
    ;;
  esac
}

check_rerun() {
  local before
  before=$(heads)
  renovate_once 2
  if [ "$before" = "$(heads)" ]; then say "second run: no branch moved"; else look && fail "the second run moved branches"; fi
}

conflicts() {
  local branch head
  while read -r branch head; do
    [ -z "$branch" ] || git --git-dir "$bare" merge-tree --write-tree main "$head" >/dev/null 2>&1 || echo "$branch"
  done < <(heads)
}

check_merge() {
  local left
  git --git-dir "$bare" update-ref refs/heads/main "refs/heads/$whole"
  git --git-dir "$bare" update-ref -d "refs/heads/$whole"
  say "merged $whole; in conflict with main now: $(conflicts | tr '\n' ' ')"
  renovate_once 3
  left=$(conflicts)
  [ -z "$left" ] || fail "still in conflict with main: $left"
}

check_hashes() {
  local branch head
  while read -r branch head; do
    [ -n "$branch" ] || continue
    rm -rf "$run/check"
    git clone -q "$bare" "$run/check"
    git -C "$run/check" checkout -q "$head"
    if (cd "$run/check" && "$program" check >"$run/check.out" 2>&1); then
      say "check: $branch is right"
    else
      cat "$run/check.out" && fail "check: $branch is not right"
    fi
  done < <(heads)
}

# The bound is far above what is measured (tens of milliseconds), for machines that do something else besides.
check_times() {
  local again
  say "milliseconds: first calls $(cut -f1,3 "$run/calls.tsv" | sed -n 's/\tfirst$//p' | tr '\n' ' '); repeated: $(
    cut -f1,3 "$run/calls.tsv" | sed -n 's/\tagain$//p' | tr '\n' ' ')"
  again=$(awk -F'\t' '$3 == "again" && $1 > most { most = $1 } END { print most + 0 }' "$run/calls.tsv")
  [ "$again" -le 1000 ] || fail "a repeated call took $again ms"
}

check_secrets() {
  local word
  for word in "$token" "$canary" "$(printf '%s' "renovate-bot:$token" | base64 -w0)"; do
    ! grep -rqF -e "$word" "$run/output.log" "$run/home/.cache/npm-nixhash" "$run/state/comments.json" ||
      fail "a secret stands in what the program printed or kept"
  done
}

prepare
start_servers
make_repositories
configure
before
renovate_once 1
look
check_outcome
also
if [ "$EXPECT" = branch ]; then
  check_rerun
  check_merge
  check_hashes
fi
if [ -e "$run/calls.tsv" ]; then
  check_times
  check_secrets
fi
exit "$status"
