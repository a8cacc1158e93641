#!/usr/bin/env bash
# Finds the program: BINARY if it is given, else one that is built from the action's sources (ACTION_PATH) by cargo, which
# GitHub's machines have. Its path becomes the step's output `program`.
set -euo pipefail

if [ -n "${BINARY:-}" ]; then
  program=$(command -v -- "$BINARY") || {
    echo "::error::the input binary names no program"
    exit 2
  }
else
  root=${RUNNER_TEMP:?}/npm-nixhash
  cargo install --quiet --locked --path "$ACTION_PATH" --root "$root"
  program=$root/bin/npm-nixhash
fi
"$program" --version
printf 'program=%s\n' "$(realpath "$program")" >>"$GITHUB_OUTPUT"
