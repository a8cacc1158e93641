#!/usr/bin/env bash
# counted.sh [--record] [BINARY]: counts the instructions of a few runs, and compares them with those of benches/counted.tsv.
#
# What a run costs in time nobody can tell on a machine that others use, too; what it executes can be told to a few in a
# thousand. More than 5 % above what is recorded fails. A change that is worth it records what it costs:
#
#     benches/counted.sh --record
#
# Counted is what valgrind executes. Its processor is the same everywhere (x86-64 with AVX2; neither AVX-512 nor instructions for
# SHA), so that digests count for more here than they cost elsewhere. Two counts of one build differ by 0.1 %: seeds of hash
# tables, the order of threads. Another compiler, valgrind or C library moves all counts, so that nothing is judged with others
# than those of the record; a processor without AVX2 moves those of digests and copies. Not counted are the kernel's work and
# waiting, nor copies as such: one of 20 MB is a million instructions.
# BINARY is a release build, by default that of this checkout, which has to be built. Needs valgrind; takes a minute
# of one core.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=benches/measure.sh
source benches/measure.sh
recorded=benches/counted.tsv tolerance=5 record=''
while (($#)); do
  case $1 in
  --record) record=yes ;;
  -*) sed -n 2,15p "$0" && exit 2 ;;
  *) binary=$1 ;;
  esac
  shift
done
[[ -x $binary ]] || { printf '%s is not there: cargo build --release --locked\n' "$binary" >&2 && exit 2; }
binary=$(realpath "$binary")
# The server is not counted: that of the tests is quick enough as they build it.
cargo build --quiet --example synthetic
synthetic=target/debug/examples/synthetic repository=$work/local/repo
# What moves all counts, and not by anything that changed here.
tools="$(rustc --version), $(valgrind --version), glibc $(ldd --version | awk 'NR == 1 { print $NF }')"
nobodys_settings

# count NAME ARGUMENT...: one run of the program. That hashes are stale is no failure of it.
count() {
  local name=$1 status=0
  shift
  valgrind --tool=cachegrind --cache-sim=no --cachegrind-out-file=/dev/null --log-file="$work/log" \
    "$binary" "$@" >/dev/null 2>"$work/messages" || status=$?
  if ((status > 1)); then
    cat "$work/messages" "$work/log" >&2
    return 2
  fi
  awk -v name="$name" -v machine="$(uname -m)" '/I +refs:/ { gsub(",", "", $NF); print machine "\t" name "\t" $NF }' \
    "$work/log" >>"$work/counted.tsv"
}

serve --plain --services 4 --each 200 --packages 500 --bytes 8000000
empty_cache
count "check --no-cache, 500 tarballs of 16 kB" check --no-cache "$repository"
count "check, nothing on disk, 500 tarballs of 16 kB" check "$repository"
count "check --no-memo, all on disk, 500 tarballs of 16 kB" check --no-memo "$repository"
serve --plain --services 1000 --each 20 --packages 10010 --bytes 3000000
empty_cache
count "list, 1,000 services" list "$repository"
"$binary" check "$repository" >/dev/null 2>&1 || [[ $? -eq 1 ]]
count "check, unchanged, 1,000 services" check "$repository"
# What has to grow with the number of packages, and of repositories, and not with its square.
mkdir "$work/flat"
benches/make-flat.sh "$work/flat" 1000
count "list, 1,000 packages in one file" list "$work/flat"
benches/make-tree.sh "$work/tree" 40
count "list, 40 repositories side by side" list "$work/tree"

if [[ -n $record ]]; then
  # What other machines recorded stays.
  {
    printf '#\t%s\t%s\n' "$(uname -m)" "$tools"
    grep -v -e "^$(uname -m)"$'\t' -e $'^#\t'"$(uname -m)"$'\t' "$recorded" 2>/dev/null || true
    cat "$work/counted.tsv"
  } >"$work/new.tsv"
  cp "$work/new.tsv" "$recorded"
  cat "$work/counted.tsv"
  exit
fi
judged=yes
if ! grep -qxF "$(printf '#\t%s\t%s' "$(uname -m)" "$tools")" "$recorded"; then
  judged=''
  printf 'Recorded with other tools than %s: shown, not judged. counted.sh --record makes these the ones.\n' "$tools"
fi
awk -F '\t' -v tolerance="$tolerance" -v judged="$judged" '
  NR == FNR { if ($1 != "#") before[$1 FS $2] = $3; next }
  !(($1 FS $2) in before) {
    printf "%s: nothing is recorded for %s\n", $2, $1
    failed = 1
    next
  }
  {
    change = ($3 / before[$1 FS $2] - 1) * 100
    printf "%-55s %14.0f instructions, %+.1f %%\n", $2, $3, change
    if (change > tolerance) failed = 1
    if (change < -tolerance) better = 1
  }
  END {
    if (judged == "") exit
    if (better) print "Less than is recorded: benches/counted.sh --record keeps it so."
    if (failed) {
      print "More than " tolerance " % above what benches/counted.tsv records. If that is worth it, accept it with: benches/counted.sh --record"
      exit 1
    }
  }' "$recorded" "$work/counted.tsv"
