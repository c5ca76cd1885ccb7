# SPDX-License-Identifier: Apache-2.0
"""RocksDB and LevelDB stores through the program, judged by RocksDB's own ldb."""
import fcntl
import hashlib
import json
import shutil
import subprocess
import unittest

from program_test import COULD_NOT_FINISH, WRONG_USAGE, ProgramTest


def state_of(folder):
    """Of every file. LOCK is empty, and to close it would give up the lock that this process has on it."""
    return {path: (path.stat().st_size, path.stat().st_mtime_ns,
                   path.name != "LOCK" and hashlib.sha256(path.read_bytes()).digest())
            for path in folder.rglob("*") if path.is_file()}


class StoresTest(ProgramTest):
    def store(self, scheme, count=20000):
        path = self.folder / scheme
        self.succeed("generate", "--sink", f"{scheme}:{path}", "--count", count)
        return path

    def as_tsv(self, source):
        return self.succeed("convert", "--source", source, "--sink", "tsv:-").stdout


class RoundTripTest(StoresTest):
    def test_every_kind_of_store_holds_the_same_pairs(self):
        pairs = self.as_tsv(f"lmdb:{self.store('lmdb')}")
        self.assertEqual(pairs.count("\n"), 20000)
        for scheme in ("rocksdb", "leveldb"):
            path = self.store(scheme)
            self.assertEqual(self.as_tsv(f"{scheme}:{path}"), pairs)
            self.assertEqual(sorted(p.name for p in self.folder.glob(f"{scheme}*")), [scheme])

    @unittest.skipIf(shutil.which("ldb") is None, "ldb (rocksdb-tools) is not installed")
    def test_ldb_reads_what_the_program_made_and_the_program_what_ldb_wrote(self):
        path = self.store("rocksdb")
        said = subprocess.run(["ldb", f"--db={path}", "--hex", "scan"], text=True, capture_output=True,
                              timeout=60, check=True).stdout
        ldb = "".join(f"{key[2:]}\t{value[2:]}\n".lower() for key, value in
                      (line.split(" : ") for line in said.splitlines()))
        self.assertEqual(self.as_tsv(f"rocksdb:{path}"), ldb)
        for command in (["create_column_family", "users"], ["--column_family=users", "put", "alice", "1"]):
            subprocess.run(["ldb", f"--db={path}", *command], capture_output=True, timeout=60, check=True)
        self.assertEqual(self.as_tsv(f"rocksdb:{path}?cf=users"), f"{b'alice'.hex()}\t{b'1'.hex()}\n")
        report = json.loads(self.succeed("backup", "--source", f"rocksdb:{path}", "-s", self.folder / "b",
                                         "--json").stdout)
        self.assertEqual([r["cf"] for r in report["ranges"]], ["default", "users"])
        self.assertEqual(report["total_kvs"], 20001)
        report = json.loads(self.succeed("backup", "--source", f"rocksdb:{path}", "--cf", "users", "-s", "noop://",
                                         "--json").stdout)
        self.assertEqual(report["total_kvs"], 1)
        copy = self.folder / "copy"
        self.succeed("convert", "--source", f"rocksdb:{path}", "--sink", f"rocksdb:{copy}")
        self.assertEqual(self.as_tsv(f"rocksdb:{copy}?cf=default"), ldb)
        self.assertEqual(self.as_tsv(f"rocksdb:{copy}?cf=users"), f"{b'alice'.hex()}\t{b'1'.hex()}\n")
        self.fail(WRONG_USAGE, "the source has 2 databases and the sink holds one",
                  "convert", "--source", f"rocksdb:{path}", "--sink", f"leveldb:{self.folder / 'one'}")
        for sink in (f"rocksdb:{self.folder / 'one'}?cf=users", f"lmdb:{self.folder / 'one'}?db=users"):
            self.fail(WRONG_USAGE, "the sink's URI names one", "convert", "--source", f"rocksdb:{path}",
                      "--sink", sink)
        self.assertFalse((self.folder / "one").exists())

    def test_a_backup_of_rocksdb_is_the_same_for_every_concurrency(self):
        path = self.store("rocksdb", 100000)
        backups = []
        for workers in (1, 2, 7):
            folder = self.folder / f"backup{workers}"
            self.succeed("backup", "--source", f"rocksdb:{path}", "-s", folder, "--file-size", 1,
                         "--concurrency", workers)
            # the name of a file ends in the time of the run
            backups.append(sorted((p.name.split("_")[1], hashlib.sha256(p.read_bytes()).hexdigest())
                                  for p in folder.glob("*.sst")))
        self.assertGreater(len(backups[0]), 5)
        self.assertEqual(backups[0], backups[1])
        self.assertEqual(backups[0], backups[2])


class HeldStoreTest(StoresTest):
    def test_a_rocksdb_that_another_process_holds_is_read_as_a_secondary_and_left_alone(self):
        path = self.store("rocksdb")
        free = json.loads(self.succeed("backup", "--source", f"rocksdb:{path}", "-s", "noop://", "--json").stdout)
        self.assertEqual(len(free["notes"]), 1)
        self.assertNotIn("secondary", free["notes"][0])
        with open(path / "LOCK", "r+b") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            before = state_of(path)
            result = self.succeed("backup", "--source", f"rocksdb:{path}", "-s", self.folder / "b")
            self.assertIn("total kv: 20000", result.stdout)
            self.assertIn("RocksDB read as a secondary, since another process holds it, at sequence number",
                          result.stdout)
            self.assertIn("disableWAL", result.stdout)
            self.assertEqual(state_of(path), before)

    def test_a_leveldb_that_another_process_holds_is_refused_and_left_alone(self):
        path = self.store("leveldb")
        with open(path / "LOCK", "r+b") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            before = state_of(path)
            self.fail(COULD_NOT_FINISH, "another process holds its LOCK file", "backup", "--source",
                      f"leveldb:{path}", "-s", self.folder / "b")
            self.assertEqual(state_of(path), before)
        self.assert_no_backup(self.folder / "b")


class BadStoreTest(StoresTest):
    def test_a_store_or_column_family_that_is_not_there_is_named(self):
        for scheme in ("rocksdb", "leveldb"):
            missing = f"{scheme}:{self.folder / 'nothing'}"
            self.fail(COULD_NOT_FINISH, missing, "backup", "--source", missing, "-s", self.folder / "b")
        path = self.store("rocksdb", 10)
        self.fail(COULD_NOT_FINISH, "the store has default", "backup", "--source", f"rocksdb:{path}?cf=users",
                  "-s", self.folder / "b")
        self.fail(WRONG_USAGE, '"db" is no parameter of rocksdb:', "backup", "--source", f"rocksdb:{path}?db=x",
                  "-s", self.folder / "b")
        self.assertFalse((self.folder / "b").exists())

    def test_a_damaged_table_ends_the_run_without_a_backup(self):
        for scheme, suffix in (("rocksdb", "*.sst"), ("leveldb", "*.ldb")):
            path = self.store(scheme)
            # LevelDB keeps the last pairs in its log until it is opened again
            self.succeed("backup", "--source", f"{scheme}:{path}", "-s", "noop://")
            self.assertTrue(list(path.glob(suffix)))
            for table in path.glob(suffix):
                data = table.read_bytes()
                table.write_bytes(data[:len(data) // 2] + b"damaged!" + data[len(data) // 2 + 8:])
            backup = self.folder / f"backup-{scheme}"
            self.fail(COULD_NOT_FINISH, "corruption", "backup", "--source", f"{scheme}:{path}", "-s", backup)
            self.assert_no_backup(backup)

    def test_an_existing_store_is_not_replaced(self):
        for scheme in ("rocksdb", "leveldb"):
            path = self.store(scheme, 10)
            before = state_of(path)
            self.fail(COULD_NOT_FINISH, "something is there already", "generate", "--sink", f"{scheme}:{path}",
                      "--count", 5)
            self.assertEqual(state_of(path), before)

    def test_pairs_out_of_order_leave_no_store(self):
        source = self.tsv([("b", "1"), ("a", "2")])
        for scheme in ("rocksdb", "leveldb"):
            self.fail(COULD_NOT_FINISH, "line 2", "convert", "--source", f"tsv:{source}", "--sink",
                      f"{scheme}:{self.folder / scheme}")
            self.assertEqual(list(self.folder.glob(f"{scheme}*")), [])


if __name__ == "__main__":
    unittest.main()
