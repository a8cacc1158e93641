# shellcheck shell=bash disable=SC2034,SC2154,SC2317,SC2329 # sourced by run.sh
# An npm CLI whose version stands in the flake.
HASH_FILES=(flake.nix pkgs/polyline/package-lock.json)
