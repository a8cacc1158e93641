#!/usr/bin/env bash
# Stands on Renovate's PATH as `npm-nixhash`: runs the program, keeps what it printed, and notes how long it took.
#
# RUN/bin/npm-nixhash is a link to this file and RUN/program one to the program; a call is a line of RUN/calls.tsv:
# milliseconds, exit code, `first` or `again` (the repository is as the last call left it), arguments.
set -euo pipefail
run=$(dirname "$(dirname "$0")")

# What differs from the commit, as one word.
state() { { git status --porcelain && git diff; } | sha256sum | cut -d' ' -f1; }

kind=first
[ "$(state)" != "$(cat "$run/state-after" 2>/dev/null)" ] || kind=again
started=$(date +%s%N) code=0
"$run/program" "$@" >"$run/stdout" 2>"$run/stderr" || code=$?
printf '%s\t%s\t%s\t%s\n' "$((($(date +%s%N) - started) / 1000000))" "$code" "$kind" "$*" >>"$run/calls.tsv"
state >"$run/state-after"
cat "$run/stdout" "$run/stderr" >>"$run/output.log"
cat "$run/stdout"
cat "$run/stderr" >&2
exit "$code"
