# SPDX-License-Identifier: Apache-2.0
# Shared by the start-*.sh scripts (sourced, not run).
# A started process is noted in $W/pids as "PID STARTTIME NAME"; STARTTIME is field 22
# of /proc/PID/stat, so that a later stop can tell the process from a reused id.
born() { awk '{sub(/^.*\) /,""); print $20}' "/proc/$1/stat" 2>/dev/null; }

workdir() { # workdir DIR : make it, set W, refuse if something is noted as running there
  mkdir -p "$1"; W=$(cd "$1" && pwd)
  if [ -s "$W/pids" ]; then echo "$0: $W/pids exists: stop that instance first" >&2; exit 1; fi
  mkdir -p "$W/log"; : > "$W/pids"
  export PATH=$PATH:/usr/sbin:/sbin
}

start() { # start NAME COMMAND... : run in the background with output in $W/log/NAME.out
  local n=$1; shift
  "$@" >"$W/log/$n.out" 2>&1 </dev/null &
  echo "$! $(born $!) $n" >> "$W/pids"
}

alive() { # alive NAME
  local p; p=$(awk -v n="$1" '$3==n{print $1}' "$W/pids"); [ -n "$p" ] && kill -0 "$p" 2>/dev/null
}

fail() { # fail TEXT : say so, stop what was started, exit
  echo "$0: $1 (see $W/log)" >&2
  "$(dirname "$0")/stop-server.sh" "$W" >&2 || true
  exit 1
}

wait_http() { # wait_http NAME URL [SECONDS] : until URL answers at all
  local i
  for i in $(seq $((${3:-60} * 5))); do
    curl -sk -o /dev/null --noproxy '*' --max-time 5 "$2" && return 0
    alive "$1" || fail "$1 ended"
    sleep 0.2
  done
  fail "$1 does not answer at $2"
}

finish() { # print and keep what a client needs (stdin: KEY=VALUE lines)
  grep = > "$W/env"; cat "$W/env"; echo "PIDFILE=$W/pids"
}
