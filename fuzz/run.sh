#!/usr/bin/env bash
# fuzz/run.sh SECONDS [TARGET...]: runs each fuzz target for so long, JOBS of them at once (by default one: each keeps a core
# busy); fails if one of them crashes, takes longer than 20 seconds for an input, or more than 2 GiB. With the stable toolchain:
# coverage comes from LLVM's own pass (instrument.sh), no sanitizer is needed, because there is no unsafe code. `cargo fuzz run
# TARGET` does the same with a nightly one. FUZZ_PROFILE=quick builds in half the time what runs at a third of the speed: for
# runs of less than a minute.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
seconds=${1:?how many seconds for each target}
shift
targets=("$@")
[ "${#targets[@]}" -gt 0 ] || targets=(lockfile npmrc nix data tar zip)
profile=${FUZZ_PROFILE:-release}

# What the fixtures have is where to start from.
seed() { # seed TARGET: prints files
  case $1 in
    lockfile) find ../fixtures/lockfiles -type f -name '*.json' -size -64k ;;
    nix) find ../fixtures/nix -type f -name '*.nix' -size -16k ;;
    data) find seeds/data ../fixtures/nix -type f \( -name '*.json' -o -name '*.toml' \) -size -16k ;;
    *) ;;
  esac
  [ ! -d "seeds/$1" ] || find "seeds/$1" -type f
}

fuzz() { # fuzz TARGET
  local corpus=corpus/$1 log=artifacts/$1.log most=300 choices=0 n=0 file
  # A short run is a gate: it starts from the seeds alone, because to read what long runs found takes longer than it has, and
  # makes the same choices each time, because a change must not be refused for what another run would not have tried.
  [ "$profile" = release ] || { corpus=corpus/$profile-$1 most=100 choices=1; rm -rf "$corpus"; }
  mkdir -p "$corpus" artifacts
  # Every time the same choice, spread over all of them.
  while IFS= read -r file; do
    n=$((n + 1))
    cp "$file" "$corpus/seed-$n"
  done < <(seed "$1" | sort -u | awk -v most="$most" '
    { line[NR] = $0 }
    END { step = NR > most ? NR / most : 1; for (i = 1; i <= NR; i += step) print line[int(i)] }')
  [ "$n" -gt 0 ] || { echo "no seeds for $1" >&2; return 1; }
  "target/$profile/$1" -seed="$choices" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=65536 \
    -print_final_stats=1 -artifact_prefix="artifacts/$1-" "$corpus" >"$log" 2>&1
}

# Says what became of it: the executions and the covered edges, or how it failed and with which input.
said() { # said TARGET
  local log=artifacts/$1.log
  sed -n 's/^stat::number_of_executed_units: */  executions /p' "$log"
  grep -o ' cov: [0-9]* ft: [0-9]*' "$log" | tail -1 | sed 's/^ cov: /  covered edges /; s/ ft: /, features /'
}

RUSTC_WRAPPER=$PWD/instrument.sh cargo build --profile "$profile" --quiet

# try TARGET: runs it, and says what became of it.
try() {
  local ended=0
  fuzz "$1" || ended=1
  printf '== fuzz %s, %s seconds\n' "$1" "$seconds"
  if [ "$ended" = 0 ]; then
    said "$1"
    return
  fi
  grep -A 4 -e 'panicked at' -e '^==.*ERROR: libFuzzer' "artifacts/$1.log" | head -40 || tail -20 "artifacts/$1.log"
  grep 'Test unit written to' "artifacts/$1.log" || true
  return 1
}

declare -A running=()
failed=()
ended() {
  local id
  wait -n -p id || failed+=("${running[$id]}")
  unset "running[$id]"
}
for target in "${targets[@]}"; do
  while [ "${#running[@]}" -ge "${JOBS:-1}" ]; do ended; done
  try "$target" &
  running[$!]=$target
done
while [ "${#running[@]}" -gt 0 ]; do ended; done
if [ "${#failed[@]}" -gt 0 ]; then
  printf 'failed: %s; target/%s/TARGET FILE runs one input again\n' "${failed[*]}" "$profile" >&2
  exit 1
fi
