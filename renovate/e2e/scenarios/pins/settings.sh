# shellcheck shell=bash disable=SC2034,SC2154,SC2317,SC2329 # sourced by run.sh
# An npm CLI whose version and hashes stand in a JSON file.
REPOSITORY=pins
HASH_FILES=(pins.json pkgs/polyline/package-lock.json)
