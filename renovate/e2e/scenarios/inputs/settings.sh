# shellcheck shell=bash disable=SC2034,SC2154,SC2317,SC2329 # sourced by run.sh
# flake.lock is moved by Renovate's manager `nix`, and with it the lockfile inside an input.
REPOSITORY=inputs
HASH_FILES=(flake.lock flake.nix)
LOCKFILE=no
ARCHIVES=yes

before() {
  ln -s "$here/nix.sh" "$run/bin/nix"
  git config --global "url.http://x:$token@${FORGE#http://}/.insteadOf" https://github.com/
}
