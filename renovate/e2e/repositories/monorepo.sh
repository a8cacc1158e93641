#!/usr/bin/env bash
# monorepo.sh DIR: ten services, whose hashes stand in the flake, in a JSON file and in text files. Three of them, one of
# each kind, have a dependency that is outdated.
set -euo pipefail
DIR=$1
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

hash_of() {
  case $1 in
  a | b | c | d | e | f) echo "\"$fake\"" ;;
  g | h) echo "(builtins.fromJSON (builtins.readFile ./hashes.json)).$1" ;;
  *) echo "builtins.readFile ./services/$1/npm-deps.hash" ;;
  esac
}

dependencies() {
  case $1 in
  b | g | i) echo '{ "ms": "2.1.2" }' ;;
  *) echo '{ "is-number": "6.0.0", "kind-of": "6.0.2" }' ;;
  esac
}

for name in a b c d e f g h i j; do service "$name" "$(dependencies "$name")"; done
printf '{\n  "g": "%s",\n  "h": "%s"\n}\n' "$fake" "$fake" >"$DIR/hashes.json"
for name in i j; do echo "$fake" >"$DIR/services/$name/npm-deps.hash"; done
for name in a b c d e f g h i j; do derivation "$name" "$(hash_of "$name")"; done | flake >"$DIR/flake.nix"
