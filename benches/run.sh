#!/usr/bin/env bash
# run.sh [--runs N] [--delay MS] [--real]: the whole job against curl on the same URLs, as a Markdown table.
#
# Local: a TLS HTTP/2 server with a made-up repository of ten services, 1,600 entries, 816 tarballs, 130 MB. With --real
# also ten real services from the npm registry, without and with binaries for each platform (needs npm and the network).
# Where nixpkgs' prefetch-npm-deps is on PATH, it is run once for each lockfile. Needs curl, openssl and GNU time; set
# BINARY to measure another build.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=5 delay=20 real=
while (($#)); do
  case $1 in
  --runs) runs=$2 && shift ;;
  --delay) delay=$2 && shift ;;
  --real) real=yes ;;
  *) sed -n 2,7p "$0" && exit 2 ;;
  esac
  shift
done
# shellcheck source=benches/measure.sh
source benches/measure.sh
build

prefetch_each() {
  local lockfile
  for lockfile in "$1"/services/*/package-lock.json; do prefetch-npm-deps "$lockfile"; done
}
export -f prefetch_each

# digest: what openssl takes for the bytes of all trees, a process for each.
digest() {
  once openssl xargs -0 -P "$(nproc)" -n 1 openssl dgst -sha256 < <(printf '%s\0' "$work"/nars/*)
}

# checksum: what openssl takes for the digests of all tarballs, a process for each core, with shares of much the same
# size; with digest's, the least that any program could take. On one core it would take less CPU time: cores share.
checksum() {
  local files cores
  cores=$(nproc)
  files=("$NPM_NIXHASH_CACHE-curl"/*)
  once sha512 xargs -P "$cores" -n $(((${#files[@]} + cores - 1) / cores)) openssl dgst -sha512 < <(
    stat -c '%s %n' "${files[@]}" | sort -rn | awk -v cores="$cores" '{ print NR % cores, $2 }' | sort -s -k 1,1 | cut -d ' ' -f 2
  )
}

write_nars() {
  rm -rf "$work/nars" && mkdir "$work/nars"
  local service
  for service in "$1"/services/*; do
    "$binary" hash --nar "$work/nars/$(basename "$service").nar" "$service" >/dev/null
  done
}

# compare TITLE REPOSITORY URLS
compare() {
  local title=$1 repository=$2 urls=$3
  rm -rf "$work/figures"
  for ((n = 0; n < runs; n++)); do
    empty_cache
    download "$urls"
    checksum
    once receive target/release/examples/receive "$urls"
    once cold "$binary" check "$repository"
    once uncached "$binary" check --no-cache "$repository"
  done
  write_nars "$repository"
  for ((n = 0; n < runs; n++)); do
    digest
    once warm "$binary" check --no-memo "$repository"
    once memo "$binary" check "$repository"
  done
  if reference; then once reference bash -c "prefetch_each '$repository'"; fi
  printf '\n### %s\n\n| what | wall s | CPU s | peak MiB | CPU of the digests | ratio |\n|---|---:|---:|---:|---:|---:|\n' "$title"
  row "curl, 64 at once, to disk" curl curl
  row "reqwest, 64 at once, bodies thrown away" receive curl
  row "\`check\`, nothing on disk" cold curl
  row "\`check --no-cache\`" uncached curl
  row "openssl dgst -sha512 of the tarballs, one process per core" sha512 curl
  row "openssl dgst -sha256 of the NARs, one process per service" openssl openssl
  row "\`check --no-memo\`, all on disk" warm openssl
  row "\`check\`, unchanged" memo curl
  if [[ -e $work/figures/reference ]]; then row "prefetch-npm-deps, once per lockfile" reference curl; fi
}

# of_digests NAME: CPU time as a multiple of what openssl needs for both digests of the same bytes.
of_digests() {
  awk -v cpu="$(median "$1" 2)" -v tarballs="$(median sha512 2)" -v nars="$(median openssl 2)" \
    'BEGIN { printf "%.2f", cpu / (tarballs + nars) }'
}

# row LABEL NAME YARDSTICK
row() {
  printf '| %s | %s | %s | %s | %s x | %s x %s |\n' "$1" "$(seconds "$2" 1)" "$(seconds "$2" 2)" "$(mebibytes "$2")" \
    "$(of_digests "$2")" "$(paired "$2" "$3")" "$3"
}

# registry TITLE NAME [--binaries]
registry() {
  local repository=$work/$2
  benches/make-services.sh "$repository" ${3+"$3"}
  cat "$repository"/services/*/package-lock.json | grep -o '"resolved": "https://[^"]*"' | cut -d'"' -f4 | sort -u |
    awk '{ printf "url = \"%s\"\noutput = \"%d\"\n", $0, NR }' >"$work/urls"
  compare "$1" "$repository" "$work/urls"
}

machine
( # what points to the local server stays in here
  serve --packages 816 --bytes 130000000 --services 10 --each 160 --delay "$delay"
  compare "A local server that answers after $delay ms, ten services, 130 MB" "$work/local/repo" "$work/local/urls"
  stop_server
)
if [[ -n $real ]]; then
  registry "The npm registry, ten real services" real
  registry "The npm registry, ten real services, three of them with binaries for each platform" binaries --binaries
fi
