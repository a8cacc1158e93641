#!/usr/bin/env bash
# pins.sh DIR: an npm CLI whose version and hashes stand in a JSON file, marked for Renovate there.
set -euo pipefail
DIR=$1
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
registry=$(npm config get registry)

work=$(mktemp -d)
(cd "$work" && npm pack --silent @mapbox/polyline@1.1.1 >/dev/null && tar xzf ./*.tgz)
lock "$work/package"
mkdir -p "$DIR/pkgs/polyline"
cp "$work/package/package-lock.json" "$DIR/pkgs/polyline/package-lock.json"
rm -rf "$work"

cat >"$DIR/pins.json" <<J
{
  "polyline": {
    "//": "renovate: datasource=npm depName=@mapbox/polyline",
    "version": "1.1.1",
    "hash": "$fake",
    "npmDepsHash": "$fake"
  }
}
J

flake >"$DIR/flake.nix" <<N
        polyline =
          let
            pin = (builtins.fromJSON (builtins.readFile ./pins.json)).polyline;
          in
          pkgs.buildNpmPackage {
            pname = "polyline";
            inherit (pin) version npmDepsHash;
            src = pkgs.fetchurl {
              url = "${registry}@mapbox/polyline/-/polyline-\${pin.version}.tgz";
              inherit (pin) hash;
            };
            postPatch = ''
              cp \${./pkgs/polyline/package-lock.json} package-lock.json
            '';
            dontNpmBuild = true;
          };
N
