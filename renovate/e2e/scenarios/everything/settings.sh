# shellcheck shell=bash disable=SC2034,SC2154,SC2317,SC2329 # sourced by run.sh
# As grouped, and the npm CLI in it.
HASH_FILES=(flake.nix pkgs/polyline/package-lock.json)
