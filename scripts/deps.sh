#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian or Ubuntu packages that are missing, and only those.
#
#   scripts/deps.sh [--demo | --test | --servers | --full]
#
# --demo     what the kvbackup program and scripts/demo.sh need
# --test     that, and what the tests need (default)
# --servers  that, and the object stores and clients of the tests labelled `servers`
# --full     that, doxygen, and Node.js with its gRPC client, from npm, below build/node
#
# KVBACKUP_SKIP_DEPS=1 does nothing: you have installed what is needed in your own way.
# Ends with 0 when everything is there, 3 when packages are missing and this script cannot install
# them (no root, no apt); it then says what to run.
set -euo pipefail

demo_packages=(
  g++ cmake ninja-build
  liblz4-dev libsnappy-dev libzstd-dev libxxhash-dev
  libssl-dev libcurl4-openssl-dev rapidjson-dev
  liblmdb-dev librocksdb-dev libleveldb-dev libcli11-dev
  rocksdb-tools lmdb-utils # sst_dump, ldb and mdb_dump, which judge what the demo wrote
)
test_packages=(
  catch2 pkg-config python3
  clang-14 libclang-rt-14-dev                     # second compiler, its sanitizers
  protobuf-compiler libprotobuf-dev               # oracle of proto/
  libisal-dev                                     # oracle of hash/
  valgrind                                        # counts the instructions of the hot loops
  libgrpc++-dev python3-grpcio python3-protobuf   # gRPC, and a client of it
  openssl                                         # certificates for it
  python3-prometheus-client python3-yaml          # readers of metrics, and of the rules in docs/
)
full_packages=(doxygen)                           # the API reference
command -v npm >/dev/null || full_packages+=(nodejs npm) # which may come from elsewhere
server_packages=(
  radosgw ceph-mon ceph-osd ceph-common           # the S3 servers of backend/
  swift-proxy swift-account swift-container swift-object
  awscli rclone curl                              # clients that judge what backend/ wrote
)

mode=${1:---test}
case "$mode" in
  --demo) packages=("${demo_packages[@]}") ;;
  --test) packages=("${demo_packages[@]}" "${test_packages[@]}") ;;
  --servers) packages=("${demo_packages[@]}" "${test_packages[@]}" "${server_packages[@]}") ;;
  --full)
    packages=("${demo_packages[@]}" "${test_packages[@]}" "${server_packages[@]}" "${full_packages[@]}")
    ;;
  *)
    sed -n '3,14s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac

if [ "${KVBACKUP_SKIP_DEPS:-0}" = 1 ]; then
  exit 0
fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  {
    echo "deps.sh: this is not Debian or Ubuntu, so nothing was installed."
    echo "Install what these packages hold, then run again with KVBACKUP_SKIP_DEPS=1:"
    echo "  ${packages[*]}"
  } >&2
  exit 3
fi

# finish: what npm has of the tests, in the versions of their lock file; then the end.
finish() {
  if [ "$mode" = --full ]; then
    local from to
    from=$(cd "$(dirname "${BASH_SOURCE[0]}")/../tests/conformance/grpc" && pwd)
    to=${from%/tests/*}/build/node
    if ! cmp -s "$from/package-lock.json" "$to/node_modules/.kvbackup-lock.json"; then
      mkdir -p "$to"
      cp "$from/package.json" "$from/package-lock.json" "$to/"
      if ! (cd "$to" && npm ci --ignore-scripts --no-audit --no-fund </dev/null); then
        echo "deps.sh: npm could not install the gRPC client of Node.js" >&2
        exit 3
      fi
      cp "$from/package-lock.json" "$to/node_modules/.kvbackup-lock.json"
    fi
  fi
  exit 0
}

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
    missing+=("$package")
done

if [ "${#missing[@]}" -eq 0 ]; then
  echo "deps.sh: nothing to install, all ${#packages[@]} packages are there"
  finish
fi

if [ "$(id -u)" -ne 0 ]; then
  {
    echo "deps.sh: ${#missing[@]} packages are missing and only root can install them. Run:"
    echo "  sudo apt-get update && sudo apt-get install --no-install-recommends ${missing[*]}"
  } >&2
  exit 3
fi

echo "deps.sh: installing ${#missing[@]} of ${#packages[@]} packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt=(apt-get -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The tests start the servers they need: installing one must not.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$log" "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi
if ! { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${missing[@]}"; } \
  </dev/null >"$log" 2>&1; then
  cat "$log" >&2
  echo "deps.sh: apt-get failed (its output is above); nothing else was done" >&2
  exit 3
fi
echo "deps.sh: done"
finish
