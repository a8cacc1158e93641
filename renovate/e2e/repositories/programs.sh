#!/usr/bin/env bash
# programs.sh DIR: three programs that are pinned by their tarballs, without a lockfile: one by a URL that tells Renovate name
# and version, one with a tarball for each system, one in a JSON file.
set -euo pipefail
DIR=$1
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
registry=$(npm config get registry)

cat >"$DIR/pins.json" <<J
{
  "semver": {
    "version": "7.5.2",
    "url": "${registry}semver/-/semver-7.5.2.tgz",
    "hash": "$fake"
  }
}
J

flake >"$DIR/flake.nix" <<N
        polyline = pkgs.runCommand "polyline" { } ''
          mkdir \$out
          tar -xzf \${pkgs.fetchurl {
            url = "${registry}@mapbox/polyline/-/polyline-1.1.1.tgz";
            hash = "$fake";
          }} -C \$out
        '';

        watcher = pkgs.stdenv.mkDerivation rec {
          pname = "watcher";
          # renovate: datasource=npm depName=@parcel/watcher
          version = "2.5.0";
          src = pkgs.fetchurl {
            url = "${registry}@parcel/watcher-\${platform.name}/-/watcher-\${platform.name}-\${version}.tgz";
            inherit (platform) hash;
          };
          platform = {
            x86_64-linux = { name = "linux-x64-glibc"; hash = "$fake"; };
            aarch64-linux = { name = "linux-arm64-glibc"; hash = "$fake"; };
            aarch64-darwin = { name = "darwin-arm64"; hash = "$fake"; };
          }.\${pkgs.stdenv.hostPlatform.system};
        };

        semver =
          let
            pin = (builtins.fromJSON (builtins.readFile ./pins.json)).semver;
          in
          pkgs.stdenv.mkDerivation {
            pname = "semver";
            inherit (pin) version;
            src = pkgs.fetchurl { inherit (pin) url hash; };
          };
N
