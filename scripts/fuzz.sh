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
# --merge makes tests/fuzz/corpus/ anew: for each target the smallest set of files, each up to
# 4 KiB, that reaches what the seeds, the old corpus and found/ reach. Shows the CPU time that the
# logs add up to.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=build/fuzz
largest_committed=4096

usage() {
  sed -n '3,16s/^# \{0,1\}//p' scripts/fuzz.sh >&2
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
  local target=$1 work inputs=()
  work=$(mktemp -d)
  mkdir -p "$work/new" "$work/old"
  for folder in "$build/seeds/$target" "tests/fuzz/corpus/$target" "$build/found/$target"; do
    [ ! -d "$folder" ] || inputs+=("$folder")
  done
  find "${inputs[@]}" -type f -size "-$((largest_committed + 1))c" -exec cp -t "$work/old" {} +
  "${fixed_addresses[@]}" "$build/tests/fuzz/fuzz_$target" -set_cover_merge=1 -rss_limit_mb=3072 \
    "$work/new" "$work/old" >"$build/logs/$target.merge.txt" 2>&1
  mkdir -p "tests/fuzz/corpus/$target"
  # Files whose names do not begin as the merge's do were put there by hand, and stay.
  find "tests/fuzz/corpus/$target" -type f -regextype posix-extended -regex '.*/[0-9a-f]{40}' -delete
  cp "$work/new"/* "tests/fuzz/corpus/$target/"
  # Those that must not cost much reach nothing new.
  find "$build/seeds/$target" -name 'bomb_*' -exec cp -t "tests/fuzz/corpus/$target" {} +
  rm -rf "$work"
  echo "$target: $(find "tests/fuzz/corpus/$target" -type f | wc -l) files," \
    "$(du -sb "tests/fuzz/corpus/$target" | cut -f1) bytes; fuzzed for $(seconds_of "$target") CPU seconds"
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
