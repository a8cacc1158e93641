#!/usr/bin/env bash
# source.sh DIR: a package from GitHub by its version: the source's hash and the lockfile in it move together.
set -euo pipefail
DIR=$1
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source-path=SCRIPTDIR source=upstream.sh
source "$(dirname "${BASH_SOURCE[0]}")/upstream.sh"

upstream 1.0.0 '{ "ms": "2.1.2" }'
upstream 1.1.0 '{ "ms": "2.1.3" }'
flake >"$DIR/flake.nix" <<N
        web = pkgs.buildNpmPackage rec {
          pname = "web";
          # renovate: datasource=github-tags depName=acme/web-src registryUrl=$FORGE extractVersion=^v(?<version>.*)$
          version = "1.0.0";
          src = pkgs.fetchFromGitHub {
            owner = "acme";
            repo = "web-src";
            tag = "v\${version}";
            hash = "$fake";
          };
          npmDepsHash = "$fake";
          dontNpmBuild = true;
        };
N
