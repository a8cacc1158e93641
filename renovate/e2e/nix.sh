#!/usr/bin/env bash
# nix.sh [OPTION...] flake update: stands on Renovate's PATH as `nix`, which would ask GitHub: it pins the newest commit of
# web-src that the forge has, with the narHash that the real Nix computes.
set -euo pipefail
case " $* " in *" flake update ") ;; *) echo "nix.sh: only flake update, not $*" >&2 && exit 1 ;; esac
# Renovate hands its environment on to nobody.
bare=${SRV:-$(dirname "$(dirname "$0")")/srv}/acme/web-src.git
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
revision=$(git --git-dir "$bare" rev-parse main)
git --git-dir "$bare" archive "$revision" | tar -x -C "$work"
hash=$(PATH=${PATH#*:} NIX_CONF_DIR=$work/none nix --extra-experimental-features nix-command hash path "$work")
# shellcheck disable=SC2016 # JavaScript
node -e '
  const fs = require("fs");
  const [rev, narHash] = process.argv.slice(1);
  const lock = JSON.parse(fs.readFileSync("flake.lock", "utf8"));
  Object.assign(lock.nodes["web-src"].locked, { rev, narHash, lastModified: 1700000000 });
  fs.writeFileSync("flake.lock", `${JSON.stringify(lock, null, 2)}\n`);
' "$revision" "$hash"
