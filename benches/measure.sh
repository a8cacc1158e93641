# shellcheck shell=bash
# Sourced by those that measure: a local registry, and figures of whole processes.
# MEASURE_UNDER: a program that each timed run is started through, such as one that keeps others still meanwhile.

work=$(mktemp -d)
binary=${BINARY:-target/release/npm-nixhash}
synthetic=target/release/examples/synthetic
export npm_config_cache=$work/no-npm-cache
server=

finish() {
  stop_server
  rm -rf "$work"
}
trap finish EXIT

build() {
  if [[ -z ${BINARY:-} ]]; then cargo build --quiet --release --bins; fi
  cargo build --quiet --release --example synthetic --example receive
  binary=$(realpath "$binary")
}

# nobodys_settings: settings and caches of nobody, and no variable that changes what is measured. No rustup works from here on.
nobodys_settings() {
  export HOME=$work/home XDG_CACHE_HOME=$work/xdg
  unset NIX_NPM_REGISTRY_OVERRIDES NIX_NPM_TOKENS NIX_SSL_CERT_FILE SSL_CERT_FILE NODE_EXTRA_CA_CERTS NPM_NIXHASH_LOG \
    http_proxy https_proxy all_proxy HTTPS_PROXY ALL_PROXY CI GITHUB_ACTIONS GITLAB_CI
  mkdir "$HOME"
}

# The reference, and not this program under its name.
reference() {
  local found
  found=$(command -v prefetch-npm-deps) || return 1
  ! "$found" --version 2>/dev/null | grep -q npm-nixhash && ! cmp -s "$found" "$binary"
}

# empty_cache: a new one. The old one stays until the end: ext4 looks long for a place where files were just removed.
empty_cache() {
  NPM_NIXHASH_CACHE=$(mktemp -d "$work/cache.XXXXXX")
  export NPM_NIXHASH_CACHE
}

# serve ARGUMENT...: starts the synthetic registry with a new repository in $work/local, and points everything at it.
serve() {
  stop_server
  rm -rf "$work/local" && mkdir -p "$work/local"
  coproc SERVER { "$synthetic" "$work/local" "$@"; }
  server=$SERVER_PID
  read -r -u "${SERVER[0]}" _
  # shellcheck disable=SC1091 # written by the server
  source "$work/local/env"
}

stop_server() {
  if [[ -n $server ]]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  server=
}

# once NAME COMMAND...: runs a command and appends "wall cpu KiB" to $work/figures/NAME; $work/output has what it printed.
# A stale hash is no failure here.
once() {
  local name=$1
  shift
  mkdir -p "$work/figures"
  # shellcheck disable=SC2086 # a program and its arguments
  ${MEASURE_UNDER:-} /usr/bin/time -q -o "$work/time" -f '%e %U %S %M' "$@" >"$work/output" 2>"$work/messages" || [[ $? -eq 1 ]] || {
    tail -n 5 "$work/messages" >&2
    return 2
  }
  awk '{ print $1, $2 + $3, $4 }' "$work/time" >>"$work/figures/$name"
}

# download URLS: curl, every file once.
download() {
  mkdir "$NPM_NIXHASH_CACHE-curl"
  (cd "$NPM_NIXHASH_CACHE-curl" && once curl curl -sS --fail --parallel --http2 --parallel-max 64 -K "$1")
}

# median NAME COLUMN: of all runs so far.
median() {
  awk -v column="$2" '{ print $column }' "$work/figures/$1" | sort -n |
    awk '{ all[NR] = $1 } END { print NR % 2 ? all[(NR + 1) / 2] : (all[NR / 2] + all[NR / 2 + 1]) / 2 }'
}

# paired NAME OTHER [COLUMN]: the median of the ratios of wall times, or of another column, run by run.
paired() {
  paste -d ' ' "$work/figures/$1" "$work/figures/$2" |
    awk -v column="${3:-1}" '$(column + 3) > 0 { printf "%.2f\n", $column / $(column + 3) }' >"$work/figures/ratio"
  median ratio 1
}

seconds() { printf '%.2f' "$(median "$1" "$2")"; }
mebibytes() { awk -v kib="$(median "$1" 3)" 'BEGIN { printf "%.0f", kib / 1024 }'; }

machine() {
  printf '%s, %s cores, %s GiB of memory, Linux %s; %s\n' \
    "$(awk -F ': *' '/^model name/ { print $2; exit }' /proc/cpuinfo)" "$(nproc)" \
    "$(awk '/^MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo)" "$(uname -r | cut -d- -f1)" "$(rustc --version | cut -d' ' -f1,2)"
}
