#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Backup, verify, restore, compare: random stores, options and storage, with faults injected, over
# and over.
#
#   scripts/soak.sh SECONDS [--seed TEXT] [--only RUN]
#
# Builds the program and runs tests/soak/soak.py, which prints its seed: with it and --only one run is
# done again. Ends with 1 if a run found something.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! [[ ${1:-} =~ ^[0-9]+$ ]]; then
  sed -n '3,9s/^# \{0,1\}//p' scripts/soak.sh >&2
  exit 2
fi
launcher=()
if command -v ccache >/dev/null; then launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
cmake --preset release "${launcher[@]}" >/dev/null
cmake --build --preset release --target kvbackup_program kvbackup_syscall_faults >/dev/null
export KVBACKUP=build/release/tools/kvbackup/kvbackup
KVBACKUP_FAULTS=$(realpath build/release/tests/soak/libkvbackup_syscall_faults.so)
export KVBACKUP_FAULTS PYTHONDONTWRITEBYTECODE=1
exec python3 tests/soak/soak.py --seconds "$1" "${@:2}"
