#!/usr/bin/env bash
# peers.sh [--runs N] [BINARY]: a first run beside the other programs that fetch what a lockfile names, as Markdown tables.
#
# One local server (TLS; HTTP/2 for those that speak it) has the tarballs of one lockfile of each size: all get it with nothing
# on disk, in turns, each turn beginning with another. npm, bun and pnpm also unpack; prefetch-npm-deps, which is nixpkgs'
# fetcher, is measured where it is on PATH. Their own lockfiles are made of npm's beforehand. A run that did not bring each
# package fails everything. Needs npm and its registry (for bun and pnpm, of the versions below), curl, GNU time, 10 GB of disk.
# BINARY is a release build, by default that of this checkout.
set -euo pipefail
cd "$(dirname "$0")/.."
bun=1.4.5 pnpm=12.21.0
runs=5
while (($#)); do
  case $1 in
  --runs) runs=$2 && shift ;;
  -*) sed -n 2,9p "$0" && exit 2 ;;
  *) BINARY=$1 ;;
  esac
  shift
done
# shellcheck source=benches/measure.sh
source benches/measure.sh
build
tools=$work/tools
mkdir "$tools"
echo '{ "private": true }' >"$tools/package.json"
npm install --prefix "$tools" --no-audit --no-fund --loglevel=error "bun@$bun" "pnpm@$pnpm" >/dev/null ||
  echo "npm cannot install bun $bun and pnpm $pnpm" >&2
PATH=$tools/node_modules/.bin:$PATH
about=$(machine)
nobodys_settings

# Each peer: NAME_version, which fails where it is not there; NAME_prepare makes what it needs of npm's package.json and
# package-lock.json in the current folder; NAME_run does the work there, with its cache in $cache; NAME_count says how many
# packages that brought.
peers=(curl check uncached bun pnpm npm reference)
declare -A does=(
  [curl]="64 at once, to disk" [check]="\`check\`, nothing on disk" [uncached]="\`check --no-cache\`"
  [bun]="\`bun install --frozen-lockfile\`" [pnpm]="\`pnpm fetch\`" [npm]="\`npm ci\`" [reference]="nixpkgs' \`prefetch-npm-deps\`"
)

curl_version() { curl --version | awk 'NR == 1 { print $1, $2 }'; }
curl_prepare() { :; }
curl_run() { NPM_NIXHASH_CACHE=$cache/files download "$work/local/urls"; }
curl_count() { count "$cache"/files-curl/*; }

check_version() { "$binary" --version; }
check_prepare() {
  mkdir -p .git services/s0
  mv package.json package-lock.json services/s0
  cp "$work/local/repo/flake.nix" .
  NPM_NIXHASH_CACHE=$cache "$binary" hash services/s0 >"$work/hash"
}
check_run() { NPM_NIXHASH_CACHE=$cache once check "$binary" check .; }
check_count() { NPM_NIXHASH_CACHE=$cache "$binary" cache stats --json | awk -F '[:,]' '/"tarballs"/ { print $2 + 0 }'; }

# It keeps nothing that could be counted: the hash is that of all packages.
uncached_version() { "$binary" --version; }
uncached_prepare() { check_prepare; }
uncached_run() { once uncached "$binary" check --no-cache .; }
uncached_count() { if grep -qFf "$work/hash" "$work/output"; then echo "$packages"; else echo 0; fi; }

bun_version() { bun --version | sed 's/^/bun /'; }
bun_prepare() {
  npm_prepare
  BUN_INSTALL_CACHE_DIR=$cache told bun install --lockfile-only --ignore-scripts
  rm package-lock.json
}
bun_run() { BUN_INSTALL_CACHE_DIR=$cache once bun bun install --frozen-lockfile --ignore-scripts; }
bun_count() { count node_modules/*/package.json; }

pnpm_version() { pnpm --version | sed 's/^/pnpm /'; }
pnpm_prepare() {
  npm_prepare
  told pnpm import --store-dir "$cache"
  rm package.json package-lock.json
}
pnpm_run() { once pnpm pnpm fetch --store-dir "$cache" --ignore-scripts; }
pnpm_count() { count node_modules/.pnpm/*/node_modules/*/package.json; }

npm_version() { npm --version | sed "s/.*/npm &, Node $(node --version)/"; }
# shellcheck disable=SC2154 # $registry comes with the server
npm_prepare() { printf 'registry=%s\ncafile=%s\n' "$registry" "$SSL_CERT_FILE" >.npmrc; }
npm_run() { once npm npm ci --cache "$cache" --ignore-scripts --no-audit --no-fund; }
npm_count() { count node_modules/*/package.json; }

reference_version() { reference && readlink -f "$(command -v prefetch-npm-deps)"; }
reference_prepare() { :; }
reference_run() { once reference prefetch-npm-deps package-lock.json "$cache/tree"; }
reference_count() { count "$cache"/tree/_cacache/content-v2/*/*/*/*; }

# told COMMAND...: says what it said if it fails.
told() { "$@" >"$work/output" 2>&1 || { tail -n 5 "$work/output" >&2 && return 2; }; }

count() { if [[ -e $1 ]]; then echo $#; else echo 0; fi; }

# in_place NAME FUNCTION...: with an empty cache, in a copy of what was prepared for a peer.
in_place() {
  cache=$(mktemp -d "$work/cache.XXXXXX")
  rm -rf "$work/at"
  cp -r "$work/prepared/$1" "$work/at"
  cd "$work/at"
  shift
  "$@"
  rm -rf "$cache"
}

# prepare NAME: makes $work/prepared/NAME.
prepare() {
  mkdir -p "$work/prepared"
  rm -rf "$work/prepared/$1"
  cp -r "$work/local/repo/services/s0" "$work/prepared/$1"
  (in_place "$1" "$1_prepare")
  rm -rf "$work/prepared/$1"
  mv "$work/at" "$work/prepared/$1"
}

# measured NAME: one run, which begins when the disk has what others wrote.
measured() {
  local brought
  sync
  "$1_run"
  brought=$("$1_count")
  ((brought == packages)) || { printf '%s brought %s packages of %s\n' "$1" "$brought" "$packages" >&2 && return 2; }
}

# turn N: each peer once, beginning with another each time.
turn() {
  local at name
  for ((at = 0; at < ${#there[@]}; at++)); do
    name=${there[($1 + at) % ${#there[@]}]}
    (in_place "$name" measured "$name")
  done
}

# row NAME
row() {
  local name=$1
  if [[ -z ${versions[$name]:-} ]]; then
    printf '| %s | left out: it is not there | | | | | |\n' "${does[$name]}"
    return
  fi
  printf '| %s: %s | %s | %s | %s | %s x | %s x | %s x |\n' "${versions[$name]}" "${does[$name]}" "$(seconds "$name" 1)" \
    "$(seconds "$name" 2)" "$(mebibytes "$name")" "$(paired "$name" curl)" "$(paired "$name" curl 2)" "$(paired "$name" curl 3)"
}

# size PACKAGES BYTES LABEL: one table.
size() {
  packages=$1
  local name
  serve --packages "$1" --bytes "$2"
  export NODE_EXTRA_CA_CERTS=$SSL_CERT_FILE
  rm -rf "$work/figures"
  for name in "${there[@]}"; do prepare "$name"; done
  for ((n = 0; n < runs; n++)); do turn "$n"; done
  printf '\n### %s\n\n| what | wall s | CPU s | peak MiB | wall, of curl | CPU, of curl | memory, of curl |\n|---|---:|---:|---:|---:|---:|---:|\n' "$3"
  for name in "${peers[@]}"; do row "$name"; done
}

there=()
declare -A versions
for name in "${peers[@]}"; do
  if versions[$name]=$("${name}_version" 2>/dev/null); then there+=("$name"); fi
done
printf '%s\n' "$about"
size 1210 32000000 "32 MB in 1,210 tarballs"
size 117 140000000 "140 MB in 117 tarballs"
size 708 893000000 "893 MB in 708 tarballs"
