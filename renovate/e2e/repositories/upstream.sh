# shellcheck shell=bash
# A package of somebody else, with a lockfile of its own: acme/web-src on the forge. To be sourced after common.sh.

# upstream VERSION DEPENDENCIES: a commit and the tag vVERSION on main.
upstream() {
  local DIR=$DIR.upstream
  mkdir -p "$DIR"
  git -C "$DIR" init -q
  service web "$2"
  cp -r "$DIR/services/web/." "$DIR"
  rm -r "$DIR/services"
  git -C "$DIR" add -A
  git -C "$DIR" commit -qm "$1"
  git -C "$DIR" tag "v$1"
  git -C "$DIR" push -q "$(bare)" main "v$1"
}

bare() {
  [ -d "$SRV/acme/web-src.git" ] || git init -q --bare "$SRV/acme/web-src.git"
  echo "$SRV/acme/web-src.git"
}
