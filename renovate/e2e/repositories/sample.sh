#!/usr/bin/env bash
# sample.sh DIR: two services with outdated dependencies, an npm CLI by version with a vendored lockfile, and something
# that is not npm's.
set -euo pipefail
DIR=$1
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
registry=$(npm config get registry)

vendor_polyline() {
  local work
  work=$(mktemp -d)
  (cd "$work" && npm pack --silent @mapbox/polyline@1.1.1 >/dev/null && tar xzf ./*.tgz)
  lock "$work/package"
  mkdir -p "$DIR/pkgs/polyline"
  cp "$work/package/package-lock.json" "$DIR/pkgs/polyline/package-lock.json"
  rm -rf "$work"
}

polyline() {
  cat <<N

        polyline = pkgs.buildNpmPackage rec {
          pname = "polyline";
          # renovate: datasource=npm depName=@mapbox/polyline
          version = "1.1.1";
          src = pkgs.fetchurl {
            url = "${registry}@mapbox/polyline/-/polyline-\${version}.tgz";
            hash = "$fake";
          };
          postPatch = ''
            cp \${./pkgs/polyline/package-lock.json} package-lock.json
          '';
          npmDepsHash = "$fake";
          dontNpmBuild = true;
        };
N
}

service a '{ "is-number": "6.0.0", "ms": "2.1.2" }'
service b '{ "is-odd": "2.0.0", "is-string": "1.0.5", "kind-of": "6.0.2" }'
# A range loosened after locking: its locked version is behind, and an update of it changes the lockfile alone.
sed -i 's/"is-string": "1\.0\.5"/"is-string": "^1.0.4"/' "$DIR"/services/b/package{,-lock}.json
vendor_polyline
{ derivation a "\"$fake\"" && echo && derivation b "\"$fake\"" && polyline; } | flake >"$DIR/flake.nix"
echo 'attrs==23.1.0' >"$DIR/requirements.txt"
