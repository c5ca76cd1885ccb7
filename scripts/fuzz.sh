#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Looks for inputs that break a parser, with libFuzzer under clang 14.
#
#   scripts/fuzz.sh TARGET|all SECONDS
#   scripts/fuzz.sh --merge
#
# TARGET is a file of tests/fuzz/ without .cpp; `all` runs one after the other, SECONDS each. Under
# build/fuzz/: found/TARGET/ collects what reached new code, logs/ the output of every run, crashes/
# the inputs that failed. A run goes on where the last one ended. Ends with 1 if an input failed.
#
# --merge brings tests/fuzz/corpus/ up to date: the seeds, and of the old corpus and of found/ what
# reaches more code, files up to 4 KiB, the smallest first, 100 or 32 KiB a target at most. Shows the CPU
# time that the logs add up to.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=build/fuzz
largest_committed=4096
most_committed=32768
named_by_digest=(-type f -regextype posix-extended -regex '.*/[0-9a-f]{40}')

usage() {
  sed -n '3,14s/^# \{0,1\}//p' scripts/fuzz.sh >&2
  exit 2
}

# The targets, as tests/fuzz/CMakeLists.txt names them.
all_targets() { sed -n 's/^kvbackup_fuzz_target(\([a-z0-9_]*\).*/\1/p' tests/fuzz/CMakeLists.txt; }

# prepare <target>...: builds them, and writes the seeds.
prepare() {
  local launcher=()
  if command -v ccache >/dev/null; then launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
  cmake --preset fuzz "${launcher[@]}" >/dev/null
  cmake --build "$build" -j "$(nproc)" --target fuzz_seeds "${@/#/fuzz_}" >/dev/null
  rm -rf "$build/seeds"
  "${fixed_addresses[@]}" "$build/tests/fuzz/fuzz_seeds" "$build/seeds"
}

# fuzz <target> <seconds>
fuzz() {
  local target=$1 seconds=$2
  local found=$build/found/$target
  local log
  log=$build/logs/$target.$(date -u +%Y%m%dT%H%M%S).$$.log
  local inputs=("$found" "$build/seeds/$target")
  [ ! -d "tests/fuzz/corpus/$target" ] || inputs+=("tests/fuzz/corpus/$target")
  [ "$target" != table ] || inputs+=(tests/golden)
  mkdir -p "$found" "$build/logs" "$build/crashes"
  # The targets limit what an input may allocate; these limits are for what escapes them.
  local TIMEFORMAT='CPU seconds: %U %S'
  if {
    time "${fixed_addresses[@]}" nice -n 19 "$build/tests/fuzz/fuzz_$target" \
      -max_total_time="$seconds" -max_len=32768 -timeout=60 -rss_limit_mb=3072 \
      -malloc_limit_mb=512 -print_final_stats=1 -artifact_prefix="$build/crashes/$target." \
      "${inputs[@]}" >"$log" 2>&1
  } 2>>"$log"; then
    echo "$target: $(grep -E '^Done ' "$log"), $(seconds_of "$target") CPU seconds in all logs"
    return 0
  fi
  echo "$target: an input failed; see $log"
  tail -n 30 "$log"
  return 1
}

# seconds_of <target>: CPU time of all its logs.
seconds_of() {
  sed -n 's/^CPU seconds: //p' "$build/logs/$1".*.log 2>/dev/null |
    awk '{ sum += $1 + $2 } END { printf "%d", sum }'
}

# merge <target>
merge() {
  local target=$1 found
  local corpus=tests/fuzz/corpus/$target
  found=$(mktemp -d)
  mkdir -p "$corpus" "$build/found/$target"
  # libFuzzer's names are digests; seeds and what was put there by hand have others, and stay.
  find "$corpus" "${named_by_digest[@]}" -exec mv -t "$found" {} +
  cp "$build/seeds/$target"/* "$corpus/"
  find "$build/found/$target" -type f -size "-$((largest_committed + 1))c" -exec cp -t "$found" {} +
  "${fixed_addresses[@]}" "$build/tests/fuzz/fuzz_$target" -merge=1 -rss_limit_mb=3072 \
    "$corpus" "$found" >"$build/logs/$target.merge.txt" 2>&1
  rm -rf "$found"
  find "$corpus" "${named_by_digest[@]}" -printf '%s %p\n' | sort -n |
    awk -v most="$most_committed" '{ used += $1 } used > most || NR > 100 { print $2 }' | xargs -r rm
  echo "$target: $(find "$corpus" -type f | wc -l) files, $(du -sb "$corpus" | cut -f1) bytes;" \
    "fuzzed for $(seconds_of "$target") CPU seconds"
}

# The sanitizers of these compilers do not cope with all of a new kernel's address randomisation.
fixed_addresses=(setarch "$(uname -m)" -R)
"${fixed_addresses[@]}" true 2>/dev/null || fixed_addresses=()
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

mapfile -t targets < <(all_targets)
case "$#:${1:-}" in
  1:--merge)
    prepare "${targets[@]}"
    for target in "${targets[@]}"; do merge "$target"; done
    exit 0
    ;;
  2:all) ;;
  2:*)
    printf '%s\n' "${targets[@]}" | grep -qx -- "$1" || usage
    targets=("$1")
    ;;
  *) usage ;;
esac
[[ $2 =~ ^[0-9]+$ ]] || usage
prepare "${targets[@]}"
failed=0
for target in "${targets[@]}"; do fuzz "$target" "$2" || failed=1; done
exit "$failed"
