#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From nothing to a backup and back: installs what is missing, builds the program, loads real records
# into an LMDB store, backs it up in BR's format, shows what the backup holds, lets RocksDB's own tool
# check every file and count its entries, restores the backup into a new LMDB store and a new RocksDB
# store, and lets the tools of these compare all three.
#
#   scripts/demo.sh [FILE]
#
# The records are the stanzas of this machine's package index (key: name/version/architecture), or
# the lines of FILE: key TAB value where its first line has a TAB, else key = number of the line.
# Of records with one key the first counts; records with an empty key are left out.
#
# Everything is made in a new folder under TMPDIR (/tmp) and stays there; the last lines name it.
set -euo pipefail
started_in=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case "${1:-}" in
  -*)
    sed -n '3,15s/^# \{0,1\}//p' scripts/demo.sh >&2
    exit 2
    ;;
esac
records_file=${1:-}
if [ -n "$records_file" ]; then
  [ "${records_file#/}" != "$records_file" ] || records_file=$started_in/$records_file
  if [ ! -f "$records_file" ] || [ ! -s "$records_file" ]; then
    echo "demo.sh: $records_file is no file, or is empty; name a text file with a record a line" >&2
    exit 2
  fi
fi

step() { printf '\n== %s\n' "$1"; }
fail() {
  echo "demo.sh: $1" >&2
  exit 1
}

step "Installing what is missing"
bash scripts/deps.sh --demo

step "Building the program kvbackup"
launcher=()
if command -v ccache >/dev/null; then
  launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
fi
cmake -S . -B build/demo -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_UNITY_BUILD=ON -DKVBACKUP_WERROR=OFF \
  -DKVBACKUP_BUILD_TESTS=OFF -DKVBACKUP_BUILD_EXAMPLES=OFF "${launcher[@]}" >/dev/null
cmake --build build/demo --target kvbackup_program
kvbackup=build/demo/tools/kvbackup/kvbackup
"$kvbackup" --version

# Text to the format `escaped`: backslash, TAB and CR get a backslash; a line stays a line.
escape() { sed 's/\\/\\\\/g; s/\t/\\t/g; s/\r/\\r/g'; }
# The same, for lines of key TAB value.
escape_after_key() { sed 's/\\/\\\\/g; s/\t/\n/; s/\t/\\t/g; s/\r/\\r/g; s/\n/\t/'; }
# Stanzas to lines: key TAB the stanza with \n for its line ends.
stanzas_to_lines() {
  LC_ALL=C awk 'BEGIN { RS = ""; FS = "\n" } {
    name = version = architecture = ""
    for (i = 1; i <= NF; ++i) {
      if ($i ~ /^Package: /) name = substr($i, 10)
      if ($i ~ /^Version: /) version = substr($i, 10)
      if ($i ~ /^Architecture: /) architecture = substr($i, 15)
    }
    printf "%s/%s/%s\t", name, version, architecture
    for (i = 1; i <= NF; ++i) printf "%s\\n", $i
    printf "\n"
  }'
}

step "Taking the records"
seconds_before=$SECONDS
work=$(mktemp -d "${TMPDIR:-/tmp}/kvbackup-demo.XXXXXX")
if [ -n "$records_file" ]; then
  if head -n 1 "$records_file" | grep -q $'\t'; then
    echo "from $records_file, lines of key TAB value"
    escape_after_key <"$records_file" >"$work/unsorted.tsv"
  else
    echo "from $records_file, one record a line"
    escape <"$records_file" | LC_ALL=C awk '{ printf "%010d\t%s\n", NR, $0 }' >"$work/unsorted.tsv"
  fi
else
  apt-cache dumpavail >"$work/index" 2>/dev/null || true
  if [ ! -s "$work/index" ] && [ "$(id -u)" -eq 0 ]; then
    echo "the package index is empty; fetching it with apt-get update"
    apt-get -q -o DPkg::Lock::Timeout=300 update >"$work/apt.log" 2>&1 || true
    apt-cache dumpavail >"$work/index" 2>/dev/null || true
  fi
  [ -s "$work/index" ] || fail "the package index is empty: run apt-get update, or name a file"
  echo "from this machine's package index (apt-cache dumpavail)"
  escape <"$work/index" | stanzas_to_lines >"$work/unsorted.tsv"
  rm "$work/index"
fi
grep -v -a $'^\t' "$work/unsorted.tsv" | LC_ALL=C sort -s -u -t $'\t' -k1,1 >"$work/records.tsv" || true
taken=$(wc -l <"$work/unsorted.tsv")
records=$(wc -l <"$work/records.tsv")
rm "$work/unsorted.tsv"
[ "$records" -gt 0 ] || fail "there are no records to back up"
echo "$records records ($((taken - records)) of $taken left out: empty key, or a key seen before)"

step "Loading them into an LMDB store"
"$kvbackup" convert --source "tsv:$work/records.tsv?format=escaped" --sink "lmdb:$work/store"

step "Backing the store up, compressed with LZ4"
"$kvbackup" backup --source "lmdb:$work/store" -s "local://$work/backup" --compression lz4

step "What the backup holds"
"$kvbackup" inspect -s "$work/backup"

step "RocksDB's opinion (sst_dump --command=verify --verify_checksum)"
files=0
entries=0
mapfile -t ssts < <(find "$work/backup" -name '*.sst' | sort)
[ "${#ssts[@]}" -gt 0 ] || fail "the backup holds no SST file"
for file in "${ssts[@]}"; do
  said=$(sst_dump --command=verify --verify_checksum --file="$file" 2>&1) || fail "sst_dump refuses $file: $said"
  # Without --verify_checksum it does not look at the data; and it ends with 0 whatever it finds.
  if grep -qiE 'corrupt|mismatch|error|fail' <<<"${said//"$work"/}" || ! grep -qx 'The file is ok' <<<"$said"; then
    fail "RocksDB does not accept $file: $said"
  fi
  # shown by any command that opens the file
  counted=$(sst_dump --command=identify --show_properties --file="$file" 2>&1 |
    sed -n 's/^ *# entries: *\([0-9]*\).*/\1/p' | head -n 1)
  files=$((files + 1))
  entries=$((entries + ${counted:-0}))
done
echo "SST files: $files, each \"The file is ok\"; entries in them: $entries"
[ "$entries" -eq "$records" ] || fail "RocksDB counts $entries entries, not $records"

step "Verifying the backup, and restoring it into new stores"
"$kvbackup" verify -s "$work/backup"
"$kvbackup" restore -s "$work/backup" --sink "lmdb:$work/restored-lmdb"
"$kvbackup" restore -s "$work/backup" --sink "rocksdb:$work/restored-rocksdb"

step "The opinion of LMDB and RocksDB on what was restored (mdb_dump, ldb scan)"
# A line a pair, as ldb prints it: 0xKEY : 0xVALUE.
lmdb_pairs() {
  mdb_dump "$1" | sed '1,/^HEADER=END$/d; /^DATA=END$/d; s/^ //' | paste - - |
    tr a-f A-F | sed 's/^/0x/; s/\t/ : 0x/'
}
rocksdb_pairs() { ldb --db="$1" --hex scan; }
before=$(lmdb_pairs "$work/store" | sha256sum)
[ "$(lmdb_pairs "$work/restored-lmdb" | sha256sum)" = "$before" ] || fail "the LMDB stores differ"
[ "$(rocksdb_pairs "$work/restored-rocksdb" | sha256sum)" = "$before" ] || fail "the RocksDB store differs"
echo "equal, key for key and value for value: SHA-256 of all pairs ${before%% *}"

step "Done in $((SECONDS - seconds_before)) s after the build"
echo "$records records, $(du -h "$work/records.tsv" | cut -f1) of text, went through LMDB into a backup of" \
  "$(du -sh "$work/backup" | cut -f1) and out of it into LMDB and RocksDB, which have every one of them."
echo "Look around: $work (records.tsv, store/, backup/, restored-lmdb/, restored-rocksdb/);" \
  "remove it when done."
