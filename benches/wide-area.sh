#!/usr/bin/env bash
# wide-area.sh [--runs N] [OTHER-BUILD]: cold runs and curl over long and thin lines, as a Markdown table.
#
# nginx (HTTP/2, TLS) has 300 made-up tarballs of 30 MB at the other end of a line that benches/wide-area-link.py makes in a
# network namespace: both ends are on this machine, and share its cores. Needs root, nginx, curl, openssl, ip, /dev/net/tun.
# Not: loss, other traffic, more than this machine's 3 Gbit/s of hashing. BINARY is the build to measure.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=3 other='' binary=$(realpath "${BINARY:-target/release/npm-nixhash}")
while (($#)); do
  case $1 in
  --runs) runs=$2 && shift ;;
  --inside) inside=$2 && shift ;; # a line of the table, within the namespace
  -*) sed -n 2,6p "$0" && exit 2 ;;
  *) other=$(realpath "$1") ;;
  esac
  shift
done
port=8443 base=https://10.9.0.2:8443

# once NAME COMMAND...: how long it takes. That hashes are stale is no failure.
once() {
  local name=$1 status=0 began
  shift
  began=$EPOCHREALTIME
  "$@" >/dev/null 2>"$work/messages" || status=$?
  ((status <= 1)) || { tail -n 3 "$work/messages" >&2 && return 2; }
  awk -v began="$began" -v ended="$EPOCHREALTIME" 'BEGIN { print ended - began }' >>"$work/figures/$name"
}

curl_all() { (mkdir "$work/files" && cd "$work/files" && curl -sS --fail --parallel --http2 --parallel-max 64 -K "$work/set/urls"); }

median() { sort -n "$work/figures/$1" | awk '{ all[NR] = $1 } END { printf "%.2f", all[int((NR + 1) / 2)] }'; }

line() { # line DELAY MBIT
  mkdir "$work/figures"
  python3 benches/wide-area-link.py "$1" "$2" "$port" >"$work/link" &
  until grep -q ready "$work/link" 2>/dev/null; do sleep 0.05; done
  nginx -e "$work/errors" -c "$work/nginx.conf" &
  sleep 0.3
  for ((n = 0; n < runs; n++)); do
    once curl curl_all
    [[ -z $other ]] || once before env NPM_NIXHASH_CACHE="$work/before.$n" "$other" check "$work/set/repo"
    once after env NPM_NIXHASH_CACHE="$work/after.$n" "$binary" check "$work/set/repo"
    rm -rf "$work/files" "$work/before.$n" "$work/after.$n"
  done
  printf '| %s ms | %s Mbit/s | %s |%s %s |\n' "$1" "$2" "$(median curl)" "${other:+ $(median before) |}" "$(median after)"
  rm -rf "$work/figures"
}

if [[ -n ${inside:-} ]]; then
  work=$WIDE_AREA_WORK
  # The namespace goes with its last process.
  trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT
  # shellcheck disable=SC2086 # delay and rate
  line $inside
  exit
fi

cargo build --quiet --example synthetic
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/home"
export WIDE_AREA_WORK=$work HOME=$work/home npm_config_cache=$work/no-npm-cache
export SSL_CERT_FILE=$work/ca.pem CURL_CA_BUNDLE=$work/ca.pem NIX_NPM_REGISTRY_OVERRIDES="{\"registry.npmjs.org\":\"$base\"}"
unset NIX_SSL_CERT_FILE http_proxy https_proxy all_proxy HTTPS_PROXY ALL_PROXY
mkdir "$work/set"
target/debug/examples/synthetic "$work/set" --packages 300 --bytes 30000000 --store "$base"
key() { openssl req "$@" -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes 2>/dev/null; }
key -x509 -days 2 -keyout "$work/ca-key.pem" -out "$work/ca.pem" -subj '/CN=wide area authority'
key -keyout "$work/key.pem" -out "$work/request.pem" -subj '/CN=wide area'
printf 'subjectAltName=IP:10.9.0.2\nbasicConstraints=CA:FALSE\n' >"$work/extensions"
openssl x509 -req -in "$work/request.pem" -CA "$work/ca.pem" -CAkey "$work/ca-key.pem" -CAcreateserial -days 2 \
  -extfile "$work/extensions" -out "$work/certificate.pem" 2>/dev/null
cat >"$work/nginx.conf" <<N
worker_processes 1; daemon off; pid $work/nginx.pid; user root;
events { worker_connections 1024; }
http {
  access_log off; sendfile on; tcp_nodelay on; keepalive_requests 100000;
  client_body_temp_path $work/t1; proxy_temp_path $work/t2; fastcgi_temp_path $work/t3; uwsgi_temp_path $work/t4; scgi_temp_path $work/t5;
  server {
    listen 10.9.0.1:$port ssl http2; root $work/set/www;
    ssl_certificate $work/certificate.pem; ssl_certificate_key $work/key.pem;
  }
}
N
# shellcheck disable=SC2016 # Markdown
printf '| delay | line | curl, s | %s`check`, nothing on disk, s |\n|---:|---:|---:|---:|%s\n' "${other:+before, s | }" "${other:+---:|}"
for delay in 1 20 100; do
  for rate in 50 500 1000 5000; do
    unshare -n "$0" --runs "$runs" --inside "$delay $rate" ${other:+"$other"}
  done
done
