#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# stop-server.sh WORKDIR : end the processes noted in WORKDIR/pids ("PID STARTTIME NAME"),
# last started first, by process id: TERM, then KILL after 10 s.  A pid whose start time
# is no longer the one noted belongs to somebody else and is left alone.
set -u
[ $# -ge 1 ] || { echo "usage: $0 WORKDIR" >&2; exit 2; }
. "$(dirname "$0")/lib.sh"
P=$1/pids
[ -s "$P" ] || { rm -f "$P"; echo "nothing to stop in $1"; exit 0; }
gone() { [ "$(born "$1")" != "$2" ] || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }
tac "$P" | while read -r pid b name; do
  gone "$pid" "$b" && continue
  kill -TERM "$pid" 2>/dev/null || continue
  for i in $(seq 100); do gone "$pid" "$b" && break; sleep 0.1; done
  gone "$pid" "$b" || { kill -KILL "$pid" 2>/dev/null; sleep 0.3; }
  if gone "$pid" "$b"; then echo "stopped $name ($pid)"; else echo "still there: $name ($pid)"; fi
done
rm -f "$P"
