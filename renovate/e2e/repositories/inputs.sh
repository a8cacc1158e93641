#!/usr/bin/env bash
# inputs.sh DIR: a package whose source is an input of the flake, pinned by flake.lock to a commit that is not the newest.
set -euo pipefail
DIR=$1
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$here/common.sh"
# shellcheck source-path=SCRIPTDIR source=upstream.sh
source "$here/upstream.sh"

upstream 1.0.0 '{ "ms": "2.1.2" }'
echo '{ "nodes": { "root": { "inputs": { "web-src": "web-src" } }, "web-src": {
  "flake": false, "locked": { "type": "github", "owner": "acme", "repo": "web-src" },
  "original": { "type": "github", "owner": "acme", "repo": "web-src" } } }, "root": "root", "version": 7 }' >"$DIR/flake.lock"
(cd "$DIR" && "$here/../nix.sh" flake update)
upstream 1.1.0 '{ "ms": "2.1.3" }'
cat >"$DIR/flake.nix" <<N
{
  inputs.web-src = { url = "github:acme/web-src"; flake = false; };

  outputs = { self, nixpkgs, web-src }: {
    packages.x86_64-linux.web = nixpkgs.legacyPackages.x86_64-linux.buildNpmPackage {
      pname = "web";
      version = "0.1.0";
      src = web-src;
      npmDepsHash = "$fake";
      dontNpmBuild = true;
    };
  };
}
N
