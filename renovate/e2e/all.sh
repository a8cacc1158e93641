#!/usr/bin/env bash
# all.sh PROGRAM [SCENARIO...]: runs the scenarios (all of them, unless some are named), each with its output in
# RUNS/SCENARIO.log (RUNS: a folder, by default a temporary one), and prints a line for each. JOBS of them run at once, by
# default one. Exit code 0 if all passed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -ge 1 ] || { sed -n '2,4p' "${BASH_SOURCE[0]}" && exit 2; }
program=$(realpath "$1")
shift
[ $# -gt 0 ] || { cd "$here/scenarios" && set -- *; }
runs=${RUNS:-$(mktemp -d)}
mkdir -p "$runs"
"$here/install.sh" >/dev/null

# try SCENARIO
try() {
  local started=$SECONDS word=passed times
  "$here/run.sh" "$1" "$program" "$runs/$1" >"$runs/$1.log" 2>&1 || word=FAILED
  [ "$word" = passed ] || cat "$runs/$1.log"
  times=$(grep -h '^== milliseconds' "$runs/$1.log" || true)
  printf '%-12s %s, %s s  %s\n' "$1" "$word" "$((SECONDS - started))" "${times#== }"
  [ "$word" = passed ]
}

passed=0 failed=0
ended() { if wait -n; then passed=$((passed + 1)); else failed=$((failed + 1)); fi; }
for scenario in "$@"; do
  while [ "$(jobs -rp | wc -l)" -ge "${JOBS:-1}" ]; do ended; done
  try "$scenario" &
done
while [ "$((passed + failed))" -lt $# ]; do ended; done
echo "logs: $runs"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
