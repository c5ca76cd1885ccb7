# SPDX-License-Identifier: Apache-2.0
"""`kvbackup restore`: backups put back into stores, as the tools of these stores see them."""
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import unittest

from program_test import COULD_NOT_FINISH, DONE, PROGRAM, WRONG_USAGE, ProgramTest

DAMAGE_FOUND = 3


class RestoreTest(ProgramTest):
    def backed_up(self, pairs=None, *flags, count=20000):
        """A backup of TSV pairs, or of a generated LMDB store; gives its folder."""
        backup = self.folder / "backup"
        if pairs is None:
            source = f"lmdb:{self.generate(count)}"
        else:
            source = f"tsv:{self.tsv(sorted(pairs, key=lambda pair: pair[0].encode()), 'source.tsv')}"
        self.succeed("backup", "--source", source, "-s", backup, "--file-size", 1, *flags)
        return backup

    def pairs_of(self, store):
        """What the program's own reader finds, as TSV; the tools of the store are asked elsewhere."""
        return self.succeed("convert", "--source", store, "--sink", "tsv:-").stdout

    def digests(self, folder):
        return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
                for p in sorted(folder.rglob("*")) if p.is_file()}

    def flip(self, backup):
        """Turns one bit of one file over and gives the file's name."""
        file = sorted(backup.glob("*.sst"))[-1]
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        return file.name

    def rocksdb_pairs(self, path):
        """What RocksDB's own ldb shows."""
        if shutil.which("ldb") is None:
            self.skipTest("ldb is not installed")
        shown = subprocess.run(["ldb", f"--db={path}", "--hex", "scan"], text=True, capture_output=True,
                               timeout=120, check=True).stdout
        lines = []
        for line in shown.splitlines():
            key, value = line.split(" : ")
            lines.append(f"{key[2:].lower()}\t{value[2:].lower()}\n")
        return "".join(lines)

    def lmdb_pairs(self, path):
        """What LMDB's own mdb_dump shows."""
        if shutil.which("mdb_dump") is None:
            self.skipTest("mdb_dump is not installed")
        shown = subprocess.run(["mdb_dump", str(path)], text=True, capture_output=True, timeout=120,
                               check=True).stdout
        lines = shown[shown.index("HEADER=END\n") + 11:shown.index("DATA=END")].splitlines()
        return "".join(f"{key[1:]}\t{value[1:]}\n" for key, value in zip(lines[::2], lines[1::2]))


class NewStoreTest(RestoreTest):
    def test_every_kind_of_store_gets_what_was_backed_up(self):
        backup = self.backed_up()
        before = self.digests(backup)
        expected = self.pairs_of(f"lmdb:{self.folder}/store")
        self.assertEqual(expected.count("\n"), 20000)
        for scheme in ("rocksdb", "lmdb", "leveldb", "tsv"):
            sink = f"{scheme}:{self.folder}/{scheme}"
            result = self.succeed("restore", "-s", backup, "--sink", sink)
            self.assertIn("Full restore success summary", result.stdout)
            self.assertIn("total kv: 20000", result.stdout)
            self.assertIn("read back: equal", result.stdout)
            self.assertEqual(self.pairs_of(sink), expected, scheme)
        result = self.succeed("restore", "-s", backup, "--sink", "tsv:-")
        self.assertEqual(result.stdout, expected)
        self.assertIn("total kv: 20000", result.stderr)
        self.assertEqual(self.rocksdb_pairs(self.folder / "rocksdb"), expected)
        self.assertEqual(self.lmdb_pairs(self.folder / "lmdb"), expected)
        self.assertEqual(self.digests(backup), before)
        self.assertEqual([p.name for p in self.folder.iterdir() if "restoring" in p.name], [])

    def test_a_backup_in_rocksdbs_form_is_taken_over(self):
        backup = self.backed_up(None, "--profile", "rocksdb")
        before = self.digests(backup)
        self.succeed("restore", "-s", backup, "--sink", f"rocksdb:{self.folder}/new")
        self.assertEqual(self.rocksdb_pairs(self.folder / "new"), self.pairs_of(f"lmdb:{self.folder}/store"))
        self.assertEqual(self.digests(backup), before)
        for file in backup.iterdir():
            self.assertEqual(file.stat().st_nlink, 1)

    def test_json_says_what_was_restored(self):
        backup = self.backed_up([("a", "1"), ("b", "22")])
        report = json.loads(self.succeed("restore", "-s", backup, "--sink", f"rocksdb:{self.folder}/new", "--json",
                                         "--ratelimit", 1000, "--concurrency", 1).stdout)
        self.assertEqual((report["files"], report["total_kvs"], report["total_bytes"]), (1, 2, 5))
        self.assertTrue(report["read_back"])
        report = json.loads(self.succeed("restore", "-s", backup, "--sink", f"lmdb:{self.folder}/lmdb", "--json",
                                         "--no-read-back").stdout)
        self.assertFalse(report["read_back"])

    def without_seal(self, backup):
        """Turns the backupmeta into one of BR's own: its fields, without those that BR does not know."""
        meta = backup / "backupmeta"
        rest, kept = meta.read_bytes(), b""

        def varint(data):
            value = 0
            for at, byte in enumerate(data):
                value |= (byte & 127) << 7 * at
                if byte < 128:
                    return value, at + 1
            raise AssertionError("a varint has no end")

        while rest:
            tag, size = varint(rest)
            value, length = varint(rest[size:])
            size += length + (value if tag & 7 == 2 else 0)
            if tag >> 3 not in (11, 100001, 100002):
                kept += rest[:size]
            rest = rest[size:]
        meta.write_bytes(kept + b"\x5a\x02BR")

    def test_a_backup_without_a_seal_is_restored_with_a_warning(self):
        backup = self.backed_up([("a", "1"), ("b", "2")])
        sealed = self.succeed("restore", "-s", backup, "--sink", f"tsv:{self.folder}/sealed", "--json")
        self.assertTrue(json.loads(sealed.stdout)["protected"])
        self.assertNotIn("unprotected", sealed.stderr)
        self.without_seal(backup)
        for flags in (["--dry-run"], []):
            plain = self.succeed("restore", "-s", backup, "--sink", f"tsv:{self.folder}/plain", "--json", *flags)
            self.assertIn("unprotected", plain.stderr)
            self.assertIs(json.loads(plain.stdout).get("protected", False), False)
        self.assertEqual((self.folder / "plain").read_text(), (self.folder / "sealed").read_text())

    def test_a_part_is_restored_under_another_prefix(self):
        backup = self.backed_up([(f"user/{i:03}", f"v{i}") for i in range(100)])
        result = self.succeed("restore", "-s", backup, "--sink", "tsv:-?format=raw", "--format", "raw",
                              "--start", "user/010", "--end", "user/013")
        self.assertEqual(result.stdout, "user/010\tv10\nuser/011\tv11\nuser/012\tv12\n")
        sink = f"rocksdb:{self.folder}/new"
        self.succeed("restore", "-s", backup, "--sink", sink, "--format", "raw", "--rewrite-prefix",
                     "user/09=tenant-b/")
        shown = self.succeed("convert", "--source", sink, "--sink", "tsv:-?format=raw").stdout
        self.assertEqual(shown, "".join(f"tenant-b/{i}\tv9{i}\n" for i in range(10)))
        self.succeed("restore", "-s", backup, "--sink", "tsv:-", "--rewrite-prefix", b"user/".hex() + "=")

    def test_column_families_are_restored_one_or_all(self):
        store = self.folder / "store"
        store.mkdir()
        for name in ("one", "two"):
            dump = f"VERSION=3\nformat=bytevalue\ndatabase={name}\ntype=btree\nmapsize=1048576\nHEADER=END\n"
            dump += f" 61\n {name.encode().hex()}\nDATA=END\n"
            subprocess.run(["mdb_load", str(store)], input=dump, text=True, check=True)
        backup = self.folder / "backup"
        self.succeed("backup", "--source", f"lmdb:{store}", "-s", backup)
        for scheme, parameter in (("rocksdb", "cf"), ("lmdb", "db")):
            sink = f"{scheme}:{self.folder}/{scheme}"
            self.succeed("restore", "-s", backup, "--sink", sink)
            for name in ("one", "two"):
                self.assertEqual(self.pairs_of(f"{sink}?{parameter}={name}"), f"61\t{name.encode().hex()}\n")
            sink = f"{scheme}:{self.folder}/{scheme}2?{parameter}=other"
            self.succeed("restore", "-s", backup, "--sink", sink, "--cf", "two")
            self.assertEqual(self.pairs_of(sink), "61\t74776f\n")
            self.fail(WRONG_USAGE, "several column families", "restore", "-s", backup, "--sink", sink + "x")
        self.fail(WRONG_USAGE, "one column family", "restore", "-s", backup, "--sink", "tsv:-")
        self.fail(WRONG_USAGE, "--cf", "restore", "-s", backup, "--sink", "tsv:-", "--start", "61")
        sink = f"lmdb:{self.folder}/named?db=default"
        self.succeed("restore", "-s", backup, "--sink", sink, "--cf", "one")
        self.assertEqual(self.pairs_of(sink), "61\t6f6e65\n")

    def test_a_key_that_lmdb_cannot_hold_is_named_and_nothing_is_there(self):
        for key in ("", "k" * 512):
            shutil.rmtree(self.folder / "backup", ignore_errors=True)
            backup = self.backed_up([(key, "v"), ("z", "v")])
            result = self.fail(COULD_NOT_FINISH, "LMDB's keys have 1 to 511 bytes", "restore", "-s", backup,
                               "--sink", f"lmdb:{self.folder}/new")
            self.assertIn("key " + (key.encode().hex()[:128] or '""'), result.stderr)
            self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["backup", "source.tsv"])

    @unittest.skipUnless(os.geteuid() == 0, "only root can become somebody else")
    def test_a_backup_is_restored_from_a_folder_that_cannot_be_written(self):
        backup = self.backed_up()
        os.chmod(self.folder, 0o777)
        before = self.digests(backup)
        for path in backup.iterdir():
            os.chmod(path, 0o444)
        os.chmod(backup, 0o555)
        self.addCleanup(os.chmod, backup, 0o755)
        program = self.folder / "kvbackup"
        shutil.copy(PROGRAM, program)
        for scheme in ("rocksdb", "lmdb", "tsv"):
            try:
                done = subprocess.run([str(program), "restore", "-s", str(backup), "--sink",
                                       f"{scheme}:{self.folder}/{scheme}"], user="nobody", text=True,
                                      capture_output=True, timeout=120, check=False)
            except (PermissionError, LookupError):
                self.skipTest("there is no user nobody here")
            self.assertEqual(done.returncode, DONE, done.stderr)
        self.assertEqual(self.digests(backup), before)


class ExistingStoreTest(RestoreTest):
    SINKS = ("rocksdb", "lmdb")

    def setUp(self):
        super().setUp()
        self.backup = self.backed_up([("b", "new"), ("c", "new"), ("x", "new")])

    def store(self, scheme):
        sink = f"{scheme}:{self.folder}/{scheme}-{len(list(self.folder.iterdir()))}"
        mine = self.tsv([("a", "old"), ("c", "old"), ("d", "old")], "mine.tsv")
        self.succeed("convert", "--source", f"tsv:{mine}", "--sink", sink)
        return sink

    def raw_pairs(self, sink):
        shown = self.succeed("convert", "--source", sink, "--sink", "tsv:-?format=raw").stdout
        return dict(line.split("\t") for line in shown.splitlines())

    def test_a_store_that_is_there_is_refused_without_a_flag(self):
        for scheme, text in (("rocksdb", "--merge or --replace"), ("lmdb", "--merge or --replace"),
                             ("leveldb", "there already")):
            sink = self.store(scheme)
            self.fail(COULD_NOT_FINISH, text, "restore", "-s", self.backup, "--sink", sink)
            self.assertEqual(self.raw_pairs(sink), {"a": "old", "c": "old", "d": "old"})
        self.fail(WRONG_USAGE, "only made anew", "restore", "-s", self.backup, "--sink", sink, "--merge")
        self.fail(WRONG_USAGE, "exclude", "restore", "-s", self.backup, "--sink", sink, "--merge", "--replace")
        there = self.folder / "there.tsv"
        there.write_text("mine")
        for flags in ([], ["--replace"], ["--merge"]):
            self.assertNotEqual(self.run_program("restore", "-s", self.backup, "--sink", f"tsv:{there}",
                                                 *flags).returncode, DONE)
        self.assertEqual(there.read_text(), "mine")

    def test_merge_puts_and_replace_clears_first(self):
        for scheme in self.SINKS:
            merged, replaced, part = (self.store(scheme) for _ in range(3))
            self.succeed("restore", "-s", self.backup, "--sink", merged, "--merge")
            self.assertEqual(self.raw_pairs(merged), {"a": "old", "b": "new", "c": "new", "d": "old", "x": "new"})
            self.succeed("restore", "-s", self.backup, "--sink", replaced, "--replace")
            self.assertEqual(self.raw_pairs(replaced), {"b": "new", "c": "new", "x": "new"})
            self.succeed("restore", "-s", self.backup, "--sink", part, "--replace", "--format", "raw",
                         "--start", "c", "--end", "e")
            self.assertEqual(self.raw_pairs(part), {"a": "old", "c": "new"})
            new = f"{scheme}:{self.folder}/{scheme}-new"
            self.succeed("restore", "-s", self.backup, "--sink", new, "--replace")
            self.assertEqual(self.raw_pairs(new), {"b": "new", "c": "new", "x": "new"})

    def test_a_dry_run_counts_what_collides_and_writes_nothing(self):
        for scheme in self.SINKS:
            sink = self.store(scheme)
            report = json.loads(self.succeed("restore", "-s", self.backup, "--sink", sink, "--dry-run",
                                             "--json").stdout)
            self.assertEqual((report["files"], report["total_kvs"], report["collisions"]), (1, 3, 1))
            self.assertTrue(report["store_is_there"])
            text = self.succeed("restore", "-s", self.backup, "--sink", sink, "--dry-run", "--format", "raw",
                                "--start", "x").stdout
            self.assertIn("pairs: 1, bytes: 4, collisions: 0", text)
            self.assertIn("needs --merge or --replace", text)
            report = json.loads(self.succeed("restore", "-s", self.backup, "--sink", sink, "--dry-run", "--json",
                                             "--replace").stdout)
            self.assertEqual((report["collisions"], report["removed"]), (1, 2))
            text = self.succeed("restore", "-s", self.backup, "--sink", sink, "--dry-run", "--replace").stdout
            self.assertIn("--replace removes pairs that the backup does not have: 2", text)
            self.assertEqual(self.raw_pairs(sink), {"a": "old", "c": "old", "d": "old"})
        report = json.loads(self.succeed("restore", "-s", self.backup, "--sink", f"rocksdb:{self.folder}/none",
                                         "--dry-run", "--json", "--start", "63").stdout)
        self.assertEqual((report["total_kvs"], report["total_bytes"]), (2, 8))
        self.assertFalse(report["store_is_there"])
        self.assertFalse((self.folder / "none").exists())

    def test_a_damaged_backup_leaves_stores_as_they_were(self):
        stores = [self.store(scheme) for scheme in self.SINKS]
        name = self.flip(self.backup)
        for sink in stores:
            for flags in (["--merge"], ["--replace"]):
                self.fail(DAMAGE_FOUND, name, "restore", "-s", self.backup, "--sink", sink, *flags)
                self.assertEqual(self.raw_pairs(sink), {"a": "old", "c": "old", "d": "old"})


class TroubleTest(RestoreTest):
    def test_damage_is_exit_code_3_and_leaves_no_store(self):
        backup = self.backed_up()
        good = {p: p.read_bytes() for p in backup.iterdir()}
        entries = sorted(p.name for p in self.folder.iterdir())

        def damaged(text):
            for scheme in ("rocksdb", "lmdb", "leveldb", "tsv"):
                result = self.fail(DAMAGE_FOUND, text, "restore", "-s", backup, "--json", "--sink",
                                   f"{scheme}:{self.folder}/new")
                self.assertEqual(json.loads(result.stdout)["error"]["code"], "corruption")
                self.assertEqual(sorted(p.name for p in self.folder.iterdir()), entries)

        name = self.flip(backup)
        damaged(name)
        (backup / name).unlink()
        damaged(name)
        (backup / name).write_bytes(good[backup / name] + b"x")
        damaged(name)
        (backup / name).write_bytes(good[backup / name])
        meta = bytearray(good[backup / "backupmeta"])
        meta[len(meta) // 2] ^= 1
        (backup / "backupmeta").write_bytes(meta)
        damaged("backupmeta")

    def test_what_cannot_be_restored_is_said(self):
        backup = self.backed_up([("b", "1")], "--format", "raw", "--start", "a", "--end", "c")
        sink = f"rocksdb:{self.folder}/new"
        self.fail(COULD_NOT_FINISH, "no keys of this range", "restore", "-s", backup, "--sink", sink, "--format", "raw",
                  "--start", "x")
        self.fail(COULD_NOT_FINISH, "no keys of this range", "restore", "-s", backup, "--sink", sink, "--cf", "other")
        self.fail(COULD_NOT_FINISH, "prefix", "restore", "-s", backup, "--sink", sink, "--rewrite-prefix", "ff=00")
        self.fail(COULD_NOT_FINISH, "no backup here", "restore", "-s", self.folder, "--sink", sink)
        for flags in (["--start", "6"], ["--rewrite-prefix", "61"], ["--rewrite-prefix", "61=62=63"],
                      ["--format", "bogus"], ["--start", "62", "--end", "61"], ["--ratelimit", "99999999999999999"],
                      ["--concurrency", "0"]):
            result = self.run_program("restore", "-s", backup, "--sink", sink, *flags)
            self.assertEqual(result.returncode, WRONG_USAGE, flags)
        self.fail(WRONG_USAGE, "no kind of store", "restore", "-s", backup, "--sink", "mysql:/x")
        self.fail(WRONG_USAGE, "a source", "restore", "-s", backup, "--sink", "sst:/x")
        self.assertFalse((self.folder / "new").exists())

    def test_keys_are_hidden_when_asked(self):
        backup = self.backed_up([("k" * 512, "v")])
        result = self.run_program("restore", "-s", backup, "--sink", f"lmdb:{self.folder}/new", "--redact")
        self.assertEqual(result.returncode, COULD_NOT_FINISH)
        self.assertNotIn("6b6b", result.stderr)

    def test_a_signal_ends_it_cleanly_and_the_next_run_completes(self):
        backup = self.backed_up(count=200_000)
        for scheme in ("rocksdb", "lmdb"):
            new = self.folder / f"new-{scheme}"
            # 20 MB at 1 MiB a second: it is still at work when the signal comes
            process = subprocess.Popen([PROGRAM, "restore", "-s", str(backup), "--sink", f"{scheme}:{new}", "--ratelimit",
                                        "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            restoring = pathlib.Path(f"{new}.restoring")
            while not restoring.exists() and process.poll() is None:
                pass
            process.send_signal(signal.SIGINT)
            errors = process.communicate(timeout=60)[1]
            self.assertEqual(process.returncode, COULD_NOT_FINISH, errors)
            self.assertIn("cancelled", errors)
            self.assertFalse(new.exists())
            self.assertFalse(restoring.exists())
            # one that is killed leaves its folder, which the next run uses
            process = subprocess.Popen([PROGRAM, "restore", "-s", str(backup), "--sink", f"{scheme}:{new}", "--ratelimit",
                                        "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while not any(restoring.glob("*restoring*")) and process.poll() is None:
                pass
            process.kill()
            process.wait(timeout=60)
            self.assertFalse(new.exists())
            self.succeed("restore", "-s", backup, "--sink", f"{scheme}:{new}")
            self.assertFalse(restoring.exists())
            self.assertEqual(self.pairs_of(f"{scheme}:{new}").count("\n"), 200_000)


if __name__ == "__main__":
    unittest.main()
