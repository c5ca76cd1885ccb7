# SPDX-License-Identifier: Apache-2.0
"""Transactional backups by the program, of a store that RocksDB's ldb writes in TiKV's layout."""
import json
import shutil
import subprocess
import unittest

from program_test import COULD_NOT_FINISH, WRONG_USAGE, ProgramTest


def memcomparable(key):
    groups = [key[at:at + 8] for at in range(0, len(key) + 1, 8)]
    return b"".join(group.ljust(8, b"\0") + bytes([0xff - (8 - len(group))]) for group in groups)


def stored(key, ts=None):
    return b"z" + memcomparable(key) + (b"" if ts is None else (2**64 - 1 - ts).to_bytes(8, "big"))


def varint(number):
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7f | 0x80])
        number >>= 7
    return out + bytes([number])


def write(kind, start_ts, value=None):
    return kind + varint(start_ts) + (b"" if value is None else b"v" + bytes([len(value)]) + value)


@unittest.skipIf(shutil.which("ldb") is None, "ldb (rocksdb-tools) is not installed")
class TxnTest(ProgramTest):
    def ldb(self, *arguments):
        subprocess.run(["ldb", f"--db={self.store}", *arguments], capture_output=True, timeout=60, check=True)

    def put(self, cf, *pairs):
        self.ldb("--hex", f"--column_family={cf}", "batchput", *("0x" + b.hex() for pair in pairs for b in pair))

    def setUp(self):
        super().setUp()
        self.store = self.folder / "store"
        self.ldb("--create_if_missing", "put", "\x01local", "of no transaction")
        for cf in ("write", "lock"):
            self.ldb("create_column_family", cf)
        self.put("default", (stored(b"b", 11), b"l" * 300))
        self.put("write", (stored(b"a", 10), write(b"P", 9, b"old")), (stored(b"a", 20), write(b"P", 19, b"new")),
                 (stored(b"b", 12), write(b"P", 11)), (stored(b"c", 10), write(b"P", 9, b"c")),
                 (stored(b"c", 25), write(b"D", 24)))

    def backup(self, name, *arguments):
        return ("backup", "--txn", "--source", f"rocksdb:{self.store}", "-s", self.folder / name, *arguments)

    def meta(self, name):
        return json.loads(self.succeed("inspect", "-s", self.folder / name, "--json").stdout)["backupmeta"]

    def test_full_and_incremental_backups_are_made_and_proven(self):
        for name, arguments, expected in (("full", ["--backupts", 30], [("default", 1), ("write", 1)]),
                                          ("early", ["--backupts", 15], [("default", 1), ("write", 2)]),
                                          ("changes", ["--backupts", 30, "--lastbackupts", 15], [("write", 2)])):
            result = self.succeed(*self.backup(name, *arguments, "--cluster-id", 77))
            self.assertIn("versions ", result.stdout)
            meta = self.meta(name)
            self.assertEqual([(f["cf"], int(f.get("total_kvs", 0))) for f in meta["files"]], expected)
            self.assertEqual(int(meta["cluster_id"]), 77)
            self.assertEqual(int(meta["end_version"]), arguments[1])
            self.assertEqual(int(meta.get("start_version", 0)), 15 if name == "changes" else 0)
            self.assertFalse(meta.get("is_raw_kv", False))
            result = self.succeed("verify", "-s", self.folder / name)
            self.assertIn("unprovable: 0,", result.stdout)

    def test_a_backup_that_an_incremental_one_needs_is_deleted_with_force_only(self):
        self.chain()
        place, full = self.folder / "place", self.folder / "full"
        place.mkdir()
        (self.folder / "changes").rename(place / "changes")
        text = "an incremental backup begins where this one ends"
        self.fail(1, text, "delete", "-s", full, "--among", place)
        shown = self.fail(1, text, "delete", "-s", full, "--among", self.folder, "--json")
        self.assertIn("place/changes", shown.stdout)
        (place / "changes").rename(full / "changes")
        self.fail(1, text, "delete", "-s", full)
        self.succeed("delete", "-s", full / "changes")
        self.succeed(*self.backup("changes", "--backupts", 30, "--lastbackupts", 15, "--cluster-id", 78))
        self.succeed("delete", "-s", full, "--among", self.folder)  # of another cluster
        self.succeed("delete", "-s", self.folder / "changes")
        self.chain()
        self.succeed("delete", "-s", full, "--among", self.folder, "--force")
        self.assertFalse(full.exists())

    def test_a_time_is_a_timestamp_of_the_oracle(self):
        self.succeed(*self.backup("b", "--backupts", "2021-04-02 08:13:21+08:00"))
        meta = self.meta("b")
        self.assertEqual(int(meta["end_version"]) >> 18, 1617322401000)

    def test_what_cannot_be_backed_up_is_told_and_leaves_no_backup(self):
        lock = b"P" + varint(2 * 1) + b"p" + varint(22) + varint(3000)
        self.put("lock", (stored(b"k"), lock))
        self.fail(COULD_NOT_FINISH, "has locked a key of this range: start_ts 22, ttl 3000 ms",
                  *self.backup("b", "--backupts", 30))
        self.fail(COULD_NOT_FINISH, "end_version 15 is below the GC safe point 16",
                  *self.backup("b", "--backupts", 15, "--gc-safe-point", 16))
        self.fail(COULD_NOT_FINISH, "start_version 10 is below the GC safe point 16",
                  *self.backup("b", "--backupts", 20, "--lastbackupts", 10, "--gc-safe-point", 16))
        self.succeed(*self.backup("c", "--backupts", 20, "--gc-safe-point", 20))
        self.ldb("--hex", "--column_family=default", "delete", "0x" + stored(b"b", 11).hex())
        result = self.fail(COULD_NOT_FINISH, "left in column family default is not there",
                           *self.backup("b", "--backupts", 20))
        self.assertIn("key 62", result.stderr)
        self.assert_no_backup(self.folder / "b")

    def test_wrong_flags_are_wrong_usage(self):
        for text, arguments in (("--txn needs --backupts", []), ("neither a timestamp", ["--backupts", "now"]),
                                ("0 is none", ["--backupts", 0]), ("transactional", ["--backupts", 9, "--cf", "write"]),
                                ("is not below end_version 9", ["--backupts", 9, "--lastbackupts", 9]),
                                ("--profile br", ["--backupts", 9, "--profile", "rocksdb"])):
            self.fail(WRONG_USAGE, text, *self.backup("b", *arguments))
        self.fail(WRONG_USAGE, "--backupts is for --txn", "backup", "--source", f"rocksdb:{self.store}", "-s",
                  self.folder / "b", "--backupts", 9)
        self.fail(WRONG_USAGE, "--txn takes a source rocksdb:PATH", "backup", "--txn", "--backupts", 9, "--source",
                  "tsv:-", "-s", self.folder / "b")
        self.assertFalse((self.folder / "b").exists())

    def chain(self):
        """A full backup at 15 and an incremental one to 30; gives the flags that name them."""
        self.succeed(*self.backup("full", "--backupts", 15, "--cluster-id", 77))
        self.succeed(*self.backup("changes", "--backupts", 30, "--lastbackupts", 15, "--cluster-id", 77))
        return ("-s", self.folder / "full", "-s", self.folder / "changes")

    def test_full_and_incremental_backups_are_restored_as_the_newest_values(self):
        chain = self.chain()
        large = (b"l" * 300).hex()
        for arguments, expected in ((["-s", self.folder / "full"], f"61\t{b'old'.hex()}\n62\t{large}\n63\t63\n"),
                                    (chain, f"61\t{b'new'.hex()}\n62\t{large}\n"),
                                    ([*chain, "--to-version", 15], f"61\t{b'old'.hex()}\n62\t{large}\n63\t63\n")):
            self.assertEqual(self.succeed("scan", *arguments).stdout, expected)
            self.assertEqual(self.succeed("restore", *arguments, "--sink", "tsv:-").stdout, expected)
        for scheme in ("rocksdb", "lmdb"):
            sink = f"{scheme}:{self.folder}/{scheme}"
            result = self.succeed("restore", *chain, "--sink", sink)
            self.assertIn("total kv: 2,", result.stdout)
            self.assertIn("read back: equal", result.stdout)
            self.assertEqual(self.succeed("convert", "--source", sink, "--sink", "tsv:-").stdout,
                             f"61\t{b'new'.hex()}\n62\t{large}\n")
        self.assertEqual(self.succeed("get", *chain, "--format", "raw", "a").stdout, "new")
        self.fail(COULD_NOT_FINISH, "does not have this key", "get", *chain, "--format", "raw", "c")
        result = self.succeed("restore", *chain, "--sink", f"rocksdb:{self.folder}/part", "--format", "raw", "--start",
                              "b", "--rewrite-prefix", "b=x", "--json")
        self.assertEqual(json.loads(result.stdout)["total_kvs"], 1)
        dry = json.loads(self.succeed("restore", *chain, "--sink", f"rocksdb:{self.folder}/part", "--dry-run",
                                      "--json").stdout)
        self.assertEqual((dry["files"], dry["total_kvs"], dry["collisions"]), (3, 2, 0))

    def test_a_store_of_tikv_gets_the_records_as_ldb_sees_them(self):
        chain = self.chain()
        for layout, prefix in (("tikv", b"z"), ("mvcc", b"")):
            path = self.folder / layout
            result = self.succeed("restore", *chain, "--sink", f"rocksdb:{path}", "--layout", layout)
            self.assertIn("read back: equal", result.stdout)
            for cf, keys in (("default", [(b"b", 11)]),
                             ("write", [(b"a", 20), (b"a", 10), (b"b", 12), (b"c", 25), (b"c", 10)])):
                shown = subprocess.run(["ldb", f"--db={path}", "--hex", f"--column_family={cf}", "scan"], text=True,
                                       capture_output=True, timeout=60, check=True).stdout
                self.assertEqual([line.split(" : ")[0][2:].lower() for line in shown.splitlines()],
                                 [(prefix + stored(key, ts)[1:]).hex() for key, ts in keys])

    def test_backups_that_do_not_follow_one_another_are_wrong_usage(self):
        self.chain()
        self.succeed(*self.backup("later", "--backupts", 30, "--lastbackupts", 16, "--cluster-id", 77))
        full, changes, later = (self.folder / name for name in ("full", "changes", "later"))
        sink = ("--sink", f"rocksdb:{self.folder}/new")
        self.fail(WRONG_USAGE, "it is an incremental backup, of the changes after version 15", "restore", "-s", changes,
                  *sink)
        self.fail(WRONG_USAGE, "begins after version 16, and the backup before it ends with 15", "restore", "-s", full,
                  "-s", later, *sink)
        self.fail(WRONG_USAGE, "no backup ends with version 20; those named end with 15, 30", "scan", "-s", full, "-s",
                  changes, "--to-version", 20)
        self.fail(WRONG_USAGE, "only rocksdb: has", "restore", "-s", full, "--sink", "tsv:-", "--layout", "tikv")
        self.fail(WRONG_USAGE, "keys are not rewritten", "restore", "-s", full, *sink, "--layout", "tikv",
                  "--rewrite-prefix", "61=62")
        raw = self.folder / "raw"
        self.succeed("backup", "--source", f"tsv:{self.tsv([('a', '1')])}", "-s", raw)
        self.fail(WRONG_USAGE, "it is a raw backup", "restore", "-s", full, "-s", raw, *sink)
        self.fail(WRONG_USAGE, "it is a raw backup", "scan", "-s", raw, "--to-version", 3)
        self.fail(WRONG_USAGE, "is for transactional backups", "restore", "-s", raw, *sink, "--layout", "mvcc")
        self.assertFalse((self.folder / "new").exists())

    def test_verify_br_tells_what_br_would_not_restore(self):
        self.chain()
        self.assertEqual(self.succeed("verify", "-s", self.folder / "full").returncode, 0)
        result = self.run_program("verify", "--br", "-s", self.folder / "full")
        self.assertEqual(result.returncode, 3, result.stderr)
        self.assertIn("BR would not restore it: it has no schemas", result.stdout)
        self.assertIn("(full)", self.succeed("inspect", "-s", self.folder / "full").stdout)
        self.assertIn("schemas:       0", self.succeed("inspect", "-s", self.folder / "changes").stdout)


if __name__ == "__main__":
    unittest.main()
