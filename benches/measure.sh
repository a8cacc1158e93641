# shellcheck shell=bash
# Sourced by those that measure: a local registry, and figures of whole processes.

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

# once NAME COMMAND...: runs a command and appends "wall cpu KiB" to $work/figures/NAME. A stale hash is no failure here.
once() {
  local name=$1
  shift
  mkdir -p "$work/figures"
  /usr/bin/time -q -o "$work/time" -f '%e %U %S %M' "$@" >/dev/null 2>"$work/messages" || [[ $? -eq 1 ]] || {
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

# paired NAME OTHER: the median of the ratios of wall times, run by run.
paired() {
  paste -d ' ' "$work/figures/$1" "$work/figures/$2" | awk '$4 > 0 { printf "%.2f 0 0\n", $1 / $4 }' >"$work/figures/ratio"
  median ratio 1
}

seconds() { printf '%.2f' "$(median "$1" "$2")"; }
mebibytes() { awk -v kib="$(median "$1" 3)" 'BEGIN { printf "%.0f", kib / 1024 }'; }

machine() {
  printf '%s, %s cores, %s GiB of memory, Linux %s; %s\n' \
    "$(awk -F ': *' '/^model name/ { print $2; exit }' /proc/cpuinfo)" "$(nproc)" \
    "$(awk '/^MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo)" "$(uname -r | cut -d- -f1)" "$(rustc --version | cut -d' ' -f1,2)"
}
