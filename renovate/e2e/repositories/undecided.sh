#!/usr/bin/env bash
# undecided.sh DIR: a service that is as it should be, and one whose lockfile is edited before it is hashed, so that
# nobody can know the hash without building.
set -euo pipefail
DIR=$1
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

edited='
          postPatch = "sed -i s/2.1/3.1/ package-lock.json";'

service a '{ "ms": "2.1.2" }'
service b '{ "kind-of": "6.0.2" }'
{ derivation a "\"$fake\"" && echo && derivation b "\"$fake\"" "$edited"; } | flake >"$DIR/flake.nix"
