#!/usr/bin/env bash
# install.sh: puts Renovate, and the Node that it needs, into RENOVATE_HOME, once (45 s, 530 MB), and prints the PATH
# entries that make them available.
set -euo pipefail
version=${RENOVATE_VERSION:-44.121.2} node=${NODE_VERSION:-24.21.0}
home=${RENOVATE_HOME:-${TMPDIR:-/tmp}/renovate-$version}

packages() {
  local arch
  echo "renovate@$version"
  [[ "$(node --version 2>/dev/null)" == v"${node%%.*}".* ]] && return
  case $(uname -m) in
  x86_64) arch=x64 ;;
  aarch64 | arm64) arch=arm64 ;;
  *) echo "no Node package for $(uname -m): put Node ${node%%.*} on PATH" >&2 && return 1 ;;
  esac
  echo "node-linux-$arch@$node"
}

mkdir -p "$home"
home=$(realpath "$home")
if [ "$(cat "$home/.installed" 2>/dev/null)" != "$version" ]; then
  echo "== installing Renovate $version into $home" >&2
  echo '{"name":"renovate-home","private":true}' >"$home/package.json"
  wanted=$(packages)
  mapfile -t wanted <<<"$wanted"
  (cd "$home" && npm install --ignore-scripts --no-audit --no-fund --loglevel=error "${wanted[@]}" >&2)
  echo "$version" >"$home/.installed"
fi
path=$home/node_modules/.bin
for folder in "$home"/node_modules/node-linux-*/bin; do
  [ -d "$folder" ] && path=$folder:$path
done
echo "$path"
