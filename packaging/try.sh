#!/usr/bin/env bash
# try.sh [PROGRAM]: every way of getting the program that can run on this machine, each in a clean folder with an empty HOME, from
# nothing to the right hash of the demo, with the seconds that it took. Exit code 0 only if all of them end with that hash.
#
# A release of PROGRAM (default: a release build) is made first, for this platform alone, and served from 127.0.0.1 together
# with a Verdaccio, which stands for the npm registry and hands on what it does not have. Needs node, npm, python3, curl and
# the network (the demo's packages). CARGO=1 also tries `cargo install` (minutes).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
# shellcheck source=packaging/version.sh
source packaging/version.sh
work=$(mktemp -d)
pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT
upstream=$(npm config get registry)

# The archives are for musl in a release; what is tried here is this machine's own build under that name.
target=$(uname -m)-unknown-linux-musl
if [ -z "${1:-}" ]; then
  cargo build --release --locked
  set -- "${CARGO_TARGET_DIR:-target}/release/npm-nixhash"
fi
program=$(realpath "$1")
# As on GitHub: OWNER/NAME/releases/download/vX.Y.Z.
release=$work/web/acme/npm-nixhash/releases/download/v$version
mkdir -p "$release" "$work/npm"
SBOM=${SBOM:-$(command -v cargo-cyclonedx >/dev/null && echo 1 || echo 0)}
export SBOM
PROGRAM=$program packaging/build.sh "$target" "$release" >/dev/null
PARTIAL=1 packaging/finish.sh "$release" "$work/npm" >/dev/null
# The packages of the other platforms, from archives that hold a stand-in.
other_platforms() {
  local other name suffix
  mkdir -p "$work/others/release"
  for other in {x86_64,aarch64}-unknown-linux-musl {x86_64,aarch64}-apple-darwin x86_64-pc-windows-msvc; do
    name=npm-nixhash-v$version-$other suffix=
    case $other in *-windows-*) suffix=.exe ;; esac
    mkdir -p "$work/others/$name"
    echo stand-in >"$work/others/$name/npm-nixhash$suffix"
    tar -czf "$work/others/release/$name.tar.gz" -C "$work/others" "$name"
  done
  node packaging/npm/build.mjs "$work/others/release" "$work/others/npm" >/dev/null
  node packaging/npm/check.mjs "$work/others/npm"
}
other_platforms
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
web=$(port) verdaccio=$(port)
python3 -m http.server --bind 127.0.0.1 --directory "$work/web" "$web" >"$work/web.log" 2>&1 &
pids+=($!)
repository_url=http://127.0.0.1:$web/acme/npm-nixhash registry=http://127.0.0.1:$verdaccio/
releases=$repository_url/releases/download

# VERDACCIO: a folder where it is installed already, or goes, so that a second run need not install it again.
start_verdaccio() {
  local home=${VERDACCIO:-$work/verdaccio/home}
  mkdir -p "$home" "$work/verdaccio"
  cat >"$work/verdaccio/config.yaml" <<Y
storage: $work/verdaccio/storage
auth: { htpasswd: { file: $work/verdaccio/htpasswd } }
uplinks: { upstream: { url: "$upstream" } }
packages: { "**": { access: \$all, publish: \$all, proxy: upstream } }
max_body_size: 200mb
log: { type: stdout, level: warn }
Y
  # Verdaccio asks for node-fetch by a tag (`cjs`), which mirrors of the registry need not have.
  [ -x "$home/node_modules/.bin/verdaccio" ] || (cd "$home" && echo '{ "private": true, "overrides": { "node-fetch": "2.7.0" } }' >package.json &&
    npm install --ignore-scripts --no-audit --no-fund --loglevel=error verdaccio@6.8.0 >/dev/null)
  "$home/node_modules/.bin/verdaccio" --config "$work/verdaccio/config.yaml" --listen "127.0.0.1:$verdaccio" >"$work/verdaccio.log" 2>&1 &
  pids+=($!)
  for _ in $(seq 120); do curl -fsS "${registry}-/ping" >/dev/null 2>&1 && return; sleep 0.5; done
  cat "$work/verdaccio.log" && return 1
}

# The packages as `npm publish` would put them into the public registry; any token does.
publish() {
  local package
  mkdir -p "$work/publisher"
  echo "//127.0.0.1:$verdaccio/:_authToken=anything" >"$work/publisher/.npmrc"
  for package in "$work"/npm/npm-nixhash-* "$work/npm/npm-nixhash"; do
    HOME=$work/publisher npm publish --loglevel=error --registry "$registry" "$package" >/dev/null
  done
}

# ways: each runs in an empty folder beside `demo`, with an empty HOME, and leaves the demo right.
archive() {
  curl -fsSL "$releases/v$version/npm-nixhash-v$version-$target.tar.gz" | tar -xz --strip-components=1
  ./npm-nixhash --quiet update demo
}
# page FILE HEADING: the first block below a heading of a page, with this machine's release in the place of the published one.
page() {
  awk -v heading="$2" '$0 == heading { on = 1 } on && /^```/ { if (inside) exit; inside = 1; next } inside' "$root/$1" |
    sed -e "s|https://github.com/$repository|$repository_url|g" -e "s|x86_64-unknown-linux-musl|$target|g"
}
other_ci() {
  page docs/ci.md "## Any other CI" >lines.sh
  # Its last line checks, and the demo's hashes are placeholders.
  if (cd demo && bash -e ../lines.sh >../log 2>&1); then return 1; fi
  grep -q '3 stale' log
  demo/npm-nixhash --quiet update demo
}
image() {
  mkdir bin
  page renovate/README.md "## An image with the program" >Dockerfile
  [ "$(wc -l <Dockerfile)" = 5 ]
  sed -n '/^RUN/,/^USER/ { /^USER/d; s/^RUN //; s|/usr/local/bin|bin|; p }' Dockerfile >run.sh
  bash -e run.sh
  bin/npm-nixhash --quiet update demo
}
helm() {
  # The init container: its image has busybox.
  mkdir opt
  # shellcheck disable=SC2016 # a fence
  sed -n '/^```yaml/,/^```/p' "$root/renovate/README.md" | sed -e '/^```/d' -e "s|https://github.com/$repository|$repository_url|" -e "s|x86_64-unknown-linux-musl|$target|" >values.yaml
  sed -n 's/.*command: \[sh, -c, "\(.*\)"\]$/\1/p' values.yaml | sed 's|/opt/npm-nixhash|opt|' >init.sh
  URL=$(sed -n 's/.*name: URL, value: "\(.*\)".*/\1/p' values.yaml) sh -e init.sh
  opt/npm-nixhash --quiet update demo
}
binstall() {
  # What `cargo binstall` would fetch by Cargo.toml, which names one address for this target.
  local url
  # shellcheck disable=SC2016 # JavaScript
  url=$(TARGET=$target VERSION=$version REPO=$repository_url node -e '
    const { TARGET, VERSION, REPO } = process.env;
    const text = require("fs").readFileSync(process.argv[1], "utf8");
    const of = (key) => text.match(new RegExp(`metadata.binstall\\][^\\[]*?${key} = "(.*)"`))[1];
    const known = { repo: REPO, version: VERSION, name: "npm-nixhash", target: TARGET, bin: "npm-nixhash", "binary-ext": "" };
    const filled = (template) => template.replace(/\{ ([\w-]+) \}/g, (_, name) => known[name]);
    console.log(filled(of("pkg-url")), filled(of("bin-dir")));
  ' "$root/Cargo.toml")
  curl -fsSL "${url% *}" | tar -xz
  "./${url#* }" --quiet update demo
}
action() {
  ACTION_PATH=$root RELEASES=$releases RUNNER_TEMP=$PWD RUNNER_TOOL_CACHE=$PWD/tools GITHUB_OUTPUT=$PWD/output "$root/action/program.sh" >/dev/null
  (cd demo && PROGRAM=$(sed -n 's/^program=//p' ../output) && "$PROGRAM" --quiet update)
}
forgejo() {
  # The whole address of an action that lies on another server, and no tool cache.
  ACTION_PATH=$root ACTION_REPOSITORY=$repository_url GITHUB_SERVER_URL=https://forge.invalid RUNNER_TEMP=$PWD GITHUB_OUTPUT=$PWD/output \
    "$root/action/program.sh" >/dev/null
  (cd demo && PROGRAM=$(sed -n 's/^program=//p' ../output) && "$PROGRAM" --quiet update)
}
gitlab() {
  # The job's own lines, as GitLab would run them, in a checkout of the demo.
  "$program" init gitlab --print --source acme/npm-nixhash@v"$version" >job.yml
  python3 - >job.sh <<'P'
import re
section, lines = None, []
for line in open("job.yml"):
    if re.match(r"  \w+:", line): section = line.strip().split(":")[0]
    elif section in ("before_script", "script") and line.startswith("    - "):
        text = line[6:].rstrip("\n")
        lines.append(text[1:-1] if text.startswith("'") else text)
print("set -e\n" + "\n".join(lines))
P
  cd demo
  # The check is red, as the demo's hashes are placeholders, and the artifact is the patch that makes them right.
  if CI_PROJECT_DIR=$PWD NPM_NIXHASH_RELEASES=$releases NPM_NIXHASH_VERSION=v$version NPM_NIXHASH_CACHE=$PWD/.npm-nixhash bash ../job.sh >../log 2>&1; then return 1; fi
  git apply npm-nixhash.patch
}
npx_() { npx --yes --registry "$registry" npm-nixhash --quiet update demo; }
dependency() {
  echo '{ "private": true }' >package.json
  npm install --silent --save-dev --registry "$registry" "npm-nixhash@$version"
  rm -rf node_modules
  npm ci --silent --ignore-scripts --registry "$registry"
  ./node_modules/.bin/npm-nixhash --quiet update demo
}
cargo_() {
  CARGO_HOME=${CARGO_HOME:-$real_home/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$real_home/.rustup} CARGO_TARGET_DIR=$PWD/target \
    cargo install --quiet --locked --path "$root" --root "$PWD"
  bin/npm-nixhash --quiet update demo
}

real_home=$HOME failed=0 passed=0
# The right answer, by the program itself from the same registry: that it is right is for the tests to say.
mkdir -p "$work/right"
cp -r fixtures/demo "$work/right/demo"
HOME=$work/right "$program" --quiet update "$work/right/demo" >/dev/null

try() { # try NAME COMMAND
  local started=$EPOCHREALTIME word=FAILED place=$work/try/$2
  mkdir -p "$place/home"
  cp -r fixtures/demo "$place/demo"
  git -C "$place/demo" init -q
  git -C "$place/demo" add -A
  if (cd "$place" && HOME=$place/home XDG_CACHE_HOME='' && export HOME XDG_CACHE_HOME && "$2") >"$place.log" 2>&1 &&
    cmp -s "$place/demo/flake.nix" "$work/right/demo/flake.nix"; then
    word=passed passed=$((passed + 1))
  else
    failed=$((failed + 1)) && tail -n 20 "$place.log"
  fi
  printf '%-34s %s %6.1f s\n' "$1" "$word" "$(awk -v a="$started" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }')"
}

start_verdaccio
publish
begun=$SECONDS
try "curl | tar" archive
try "curl | tar, with its checksum" other_ci
try "Renovate's image" image
try "Renovate's Helm chart" helm
try "what cargo binstall fetches" binstall
try "the action's download" action
try "the action on Forgejo" forgejo
try "the GitLab job" gitlab
try "npx in an empty folder" npx_
try "a devDependency, npm ci" dependency
[ "${CARGO:-0}" = 0 ] || try "cargo install --path ." cargo_
echo "all of it: $((SECONDS - begun)) s"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
