#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, builds, and runs the tests.
#
#   scripts/test.sh [--quick | --full | --servers]
#
# --quick    one optimised build with g++, every test but those labelled `full` (default)
# --full     every test of that build, those of object storage too; then, without those labelled
#            `full`, clang with AddressSanitizer and UndefinedBehaviorSanitizer on the single header,
#            and ThreadSanitizer on the tests labelled `threads`. This is what .ci/run runs.
# --servers  only the tests of object storage: they start Ceph's gateway, OpenStack Swift and a Cloud
#            Storage of our own on loopback
#
# Builds go to build/<preset>. The last line is "N passed, N failed", summed over the builds. Ends
# with 0 when nothing failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mode=${1:---quick}
case "$mode" in
  --quick | --full | --servers) ;;
  *)
    sed -n '3,15s/^# \{0,1\}//p' scripts/test.sh >&2
    exit 2
    ;;
esac

case "$mode" in
  --quick) bash scripts/deps.sh --test ;;
  *) bash scripts/deps.sh "$mode" ;;
esac

jobs=$(nproc)
launcher=()
if command -v ccache >/dev/null; then
  launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
fi
# The sanitizers of these compilers do not cope with all of a new kernel's address randomisation.
fixed_addresses=(setarch "$(uname -m)" -R)
"${fixed_addresses[@]}" true 2>/dev/null || fixed_addresses=()
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1}

log=$(mktemp)
# A run that is broken off leaves no server behind; after one that was not, there is none to stop.
clean_up() {
  rm -f "$log"
  [ ! -e build/release/tests/servers/servers.json ] ||
    python3 tests/servers/s3_servers.py stop build/release/tests/servers
}
trap clean_up EXIT
passed=0
failed=0
closing=()

finish() {
  printf '%s\n' "" "${closing[@]}" "$passed passed, $failed failed"
  [ "$failed" -eq 0 ] || exit 1
  exit 0
}

# run_preset <preset> [ctest arguments]: builds, tests, adds to the sums. A build that fails counts
# as one failed test and ends the run.
run_preset() {
  local preset=$1
  shift
  echo "== $preset: build"
  if ! cmake --preset "$preset" "${launcher[@]}" "${settings[@]}" || ! cmake --build --preset "$preset" -j "$jobs"; then
    closing+=("$preset: the build failed")
    failed=$((failed + 1))
    finish
  fi
  echo "== $preset: tests"
  "${fixed_addresses[@]}" ctest --preset "$preset" -j "$jobs" --timeout 900 "$@" </dev/null 2>&1 | tee "$log" || true
  local summary
  summary=$(grep -E '^[0-9]+% tests passed, [0-9]+ tests failed out of [0-9]+' "$log" || true)
  if [ -z "$summary" ]; then
    closing+=("$preset: no test ran")
    failed=$((failed + 1))
    return
  fi
  closing+=("$preset: $summary")
  local counts
  read -r -a counts <<<"$(sed -E 's/.*passed, ([0-9]+) tests failed out of ([0-9]+).*/\1 \2/' <<<"$summary")"
  failed=$((failed + counts[0]))
  passed=$((passed + counts[1] - counts[0]))
}

settings=(-DKVBACKUP_TEST_SERVERS=OFF)
[ "$mode" = --quick ] || settings=(-DKVBACKUP_TEST_SERVERS=ON)
if [ "$mode" = --quick ]; then
  run_preset release -LE full
elif [ "$mode" = --servers ]; then
  run_preset release -L servers
else
  run_preset release
  settings=(-DKVBACKUP_TEST_SERVERS=OFF)
  run_preset clang -LE full
  run_preset tsan -LE full
fi
finish
