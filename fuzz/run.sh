#!/usr/bin/env bash
# fuzz/run.sh SECONDS [TARGET...]: runs each fuzz target for so long, one after the other. With the stable toolchain:
# coverage comes from LLVM's own pass, no sanitizer is needed, because there is no unsafe code. `cargo fuzz run TARGET` does the
# same with a nightly one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
seconds=${1:?how many seconds for each target}
shift
targets=("$@")
[ "${#targets[@]}" -gt 0 ] || targets=(lockfile npmrc nix data tar zip)

# What the fixtures have is where to start from.
seed() { # seed TARGET: prints files
  case $1 in
    lockfile) find ../fixtures/lockfiles -name '*.json' -size -64k ;;
    nix) find ../fixtures/nix -name '*.nix' -size -16k ;;
    data) find seeds/data ../fixtures/nix \( -name '*.json' -o -name '*.toml' \) -size -16k ;;
    *) find "seeds/$1" -type f ;;
  esac
}

export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
triple=$(rustc -vV | sed -n 's/^host: //p')
# A target triple keeps these flags from build scripts and procedural macros, which cannot have them.
cargo build --release --target "$triple" --quiet

for target in "${targets[@]}"; do
  corpus=corpus/$target
  mkdir -p "$corpus" artifacts
  n=0
  while IFS= read -r file; do
    n=$((n + 1))
    [ "$n" -gt 300 ] || cp "$file" "$corpus/seed-$n"
  done < <(seed "$target")
  printf '== fuzz %s, %s seconds\n' "$target" "$seconds"
  "target/$triple/release/$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=65536 \
    -print_final_stats=1 -verbosity=0 -artifact_prefix="artifacts/$target-" "$corpus" 2>&1 | tail -8
done
