#!/usr/bin/env bash
# all.sh PROGRAM [SCENARIO...]: runs the scenarios (all of them, unless some are named), each with its output in
# RUNS/SCENARIO.log (RUNS: a folder, by default a temporary one), and prints a line for each. Exit code 0 if all passed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -ge 1 ] || { sed -n '2,3p' "${BASH_SOURCE[0]}" && exit 2; }
program=$(realpath "$1")
shift
[ $# -gt 0 ] || { cd "$here/scenarios" && set -- *; }
runs=${RUNS:-$(mktemp -d)}
mkdir -p "$runs"
"$here/install.sh" >/dev/null

passed=0 failed=0
for scenario in "$@"; do
  started=$SECONDS
  if "$here/run.sh" "$scenario" "$program" "$runs/$scenario" >"$runs/$scenario.log" 2>&1; then
    passed=$((passed + 1)) word=passed
  else
    failed=$((failed + 1)) word=FAILED
    cat "$runs/$scenario.log"
  fi
  times=$(grep -h '^== milliseconds' "$runs/$scenario.log" || true)
  printf '%-12s %s, %s s  %s\n' "$scenario" "$word" "$((SECONDS - started))" "${times#== }"
done
echo "logs: $runs"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
