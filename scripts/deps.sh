#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian or Ubuntu packages that are missing, and only those.
#
#   scripts/deps.sh [--demo | --test]
#
# --demo  what the kvbackup program and scripts/demo.sh need
# --test  that, and what the tests need (default)
#
# KVBACKUP_SKIP_DEPS=1 does nothing: you have installed what is needed in your own way.
# Ends with 0 when everything is there, 3 when packages are missing and this script cannot install
# them (no root, no apt); it then says what to run.
set -euo pipefail

demo_packages=(
  g++ cmake ninja-build
  liblz4-dev libsnappy-dev libzstd-dev libxxhash-dev
  libssl-dev libcurl4-openssl-dev rapidjson-dev liblmdb-dev libcli11-dev
  rocksdb-tools # sst_dump, which judges what the demo wrote
)
test_packages=(
  catch2 pkg-config python3
  clang-14 libclang-rt-14-dev                     # second compiler, its sanitizers
  protobuf-compiler libprotobuf-dev               # oracle of proto/
  librocksdb-dev lmdb-utils libisal-dev           # oracles of sst/, ext/lmdb and hash/
  radosgw ceph-mon ceph-osd ceph-common           # the S3 servers of backend/
  swift-proxy swift-account swift-container swift-object
  awscli rclone curl                              # clients that judge what backend/ wrote
  openssl                                         # keys of the Cloud Storage test server
)

case "${1:---test}" in
  --demo) packages=("${demo_packages[@]}") ;;
  --test) packages=("${demo_packages[@]}" "${test_packages[@]}") ;;
  *)
    sed -n '3,12s/^# \{0,1\}//p' "$0" >&2
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

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
    missing+=("$package")
done

if [ "${#missing[@]}" -eq 0 ]; then
  echo "deps.sh: nothing to install, all ${#packages[@]} packages are there"
  exit 0
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
if ! { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${missing[@]}"; } \
  </dev/null >"$log" 2>&1; then
  cat "$log" >&2
  echo "deps.sh: apt-get failed (its output is above); nothing else was done" >&2
  exit 3
fi
echo "deps.sh: done"
