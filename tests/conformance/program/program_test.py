# SPDX-License-Identifier: Apache-2.0
"""What the program promises its users: results, messages, exit codes, and what it leaves behind."""
import hashlib
import json
import os
import pathlib
import pty
import shutil
import signal
import subprocess
import tempfile
import unittest

PROGRAM = os.environ["KVBACKUP"]
DONE, COULD_NOT_FINISH, WRONG_USAGE = 0, 1, 2


class ProgramTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="kvbackup-program-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_program(self, *arguments, stdin=None):
        return subprocess.run([PROGRAM, *map(str, arguments)], input=stdin, text=True,
                              capture_output=True, timeout=120, check=False)

    def succeed(self, *arguments, stdin=None):
        result = self.run_program(*arguments, stdin=stdin)
        self.assertEqual(result.returncode, DONE, result.stderr)
        return result

    def fail(self, code, text, *arguments, stdin=None):
        """Fails with that exit code and that text, and a one-line message without a crash."""
        result = self.run_program(*arguments, stdin=stdin)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertIn(text, result.stderr)
        return result

    def tsv(self, pairs, name="pairs.tsv"):
        path = self.folder / name
        path.write_text("".join(f"{k.encode().hex()}\t{v.encode().hex()}\n" for k, v in pairs))
        return path

    def assert_no_backup(self, folder):
        """Whole files may be there, and the checkpoint that tells of them."""
        if not folder.exists():
            return
        for path in folder.rglob("*"):
            if path.name.startswith("kvbackup.checkpoint."):
                continue
            self.assertTrue(path.name.endswith(".sst"), f"left behind: {path}")
            self.assertEqual(path.read_bytes()[-8:].hex(), "f7cff485b741e288")

    def generate(self, count=20000, name="store"):
        path = self.folder / name
        self.succeed("generate", "--sink", f"lmdb:{path}", "--count", count)
        return path


class BackupTest(ProgramTest):
    def test_a_store_becomes_a_backup_that_rocksdb_accepts(self):
        store, backup = self.generate(), self.folder / "backup"
        result = self.succeed("backup", "--source", f"lmdb:{store}", "-s", backup, "--file-size", 1)
        self.assertIn("Full backup success summary: total backup ranges: 1", result.stdout)
        self.assertIn("total kv: 20000", result.stdout)
        files = sorted(backup.glob("*.sst"))
        self.assertGreater(len(files), 1)
        if shutil.which("sst_dump") is None:
            self.skipTest("sst_dump is not installed")

        def verdict(file):
            result = subprocess.run(["sst_dump", "--command=verify", "--verify_checksum", f"--file={file}"],
                                    text=True, capture_output=True, timeout=60, check=False)
            return result.stdout + result.stderr

        for file in files:
            self.assertIn("The file is ok", verdict(file))
        damaged = self.folder / "damaged.sst"
        damaged.write_bytes(files[0].read_bytes()[:2000] + b"damaged!" + files[0].read_bytes()[2008:])
        self.assertNotIn("The file is ok", verdict(damaged))

    def test_every_compression_is_the_one_that_rocksdb_names(self):
        source = f"tsv:{self.tsv([(f'key{i:05}', f'value {i} of no great interest') for i in range(20000)])}"
        sizes = {}
        for flags, name in ((["none"], "NoCompression"), (["lz4"], "LZ4"), (["snappy"], "Snappy"),
                            (["zstd"], "ZSTD"), (["zstd", "--compression-level", -50], "ZSTD"),
                            (["zstd", "--compression-level", 0], "ZSTD"),
                            (["zstd", "--compression-level", 9], "ZSTD")):
            case = "-".join(map(str, flags))
            backup = self.folder / case
            self.succeed("backup", "--source", source, "-s", backup, "--compression", *flags)
            file, = backup.glob("*.sst")
            sizes[case] = file.stat().st_size
            if shutil.which("sst_dump") is None:
                continue
            shown = subprocess.run(["sst_dump", "--command=scan", "--verify_checksum", "--show_properties",
                                    f"--file={file}"], text=True, capture_output=True, timeout=60, check=False)
            self.assertIn(f"SST file compression algo: {name}\n", shown.stdout)
            self.assertEqual(shown.stdout.count(" => value "), 20000)
        for case, size in sizes.items():
            self.assertTrue(case == "none" or size < sizes["none"] * 3 / 4, sizes)
        self.assertEqual(sizes["zstd"], sizes["zstd---compression-level-0"])
        self.assertLess(sizes["zstd---compression-level-9"], sizes["zstd"])
        self.assertLess(sizes["zstd"], sizes["zstd---compression-level--50"])

    def test_the_profile_rocksdb_has_keys_as_they_are_and_the_same_bytes_for_any_number_of_workers(self):
        store, first = self.generate(), None
        for workers in (1, 2, 7):
            backup = self.folder / str(workers)
            self.succeed("backup", "--source", f"lmdb:{store}", "-s", backup, "--profile", "rocksdb", "--file-size", 1,
                         "--concurrency", workers, "--read-ratelimit", 1000)
            # all but the first name tell the time
            files = sorted((path.name.split("_")[1], path.read_bytes()) for path in backup.glob("*.sst"))
            self.assertGreater(len(files), 1)
            first = first or files
            self.assertEqual(files, first)
        report = json.loads(self.succeed("inspect", "-s", backup, "--json").stdout)
        self.assertEqual(report["info"]["profile"], "rocksdb")
        self.assertFalse(report["info"].get("key_prefix"))
        self.assertFalse(report["backupmeta"].get("raw_ranges"))
        if shutil.which("sst_dump") is None:
            self.skipTest("sst_dump is not installed")

        def scanned(*flags):
            lines = subprocess.run(["sst_dump", "--command=scan", "--output_hex", *flags], text=True, timeout=60,
                                   capture_output=True, check=False).stdout.splitlines()
            return [line.split("'")[1].lower() for line in lines if line.startswith("'")]

        keys = [key for path in backup.glob("*.sst") for key in scanned(f"--file={path}", "--verify_checksum")]
        pairs = self.succeed("convert", "--source", f"lmdb:{store}", "--sink", "tsv:-").stdout.splitlines()
        self.assertEqual(sorted(keys), [pair.split("\t")[0] for pair in pairs])

    @unittest.skipUnless(shutil.which("ldb"), "ldb is not installed")
    def test_inspect_says_what_a_backup_of_rocksdb_leaves_out(self):
        store, backup = self.folder / "db", self.folder / "b"
        subprocess.run(["ldb", f"--db={store}", "--create_if_missing", "put", "k", "v"], check=True, timeout=60,
                       capture_output=True)
        result = self.run_program("backup", "--source", f"rocksdb:{store}", "-s", backup)
        if result.returncode == WRONG_USAGE:
            self.skipTest("this program has no RocksDB")
        self.assertEqual(result.returncode, DONE, result.stderr)
        note = "column family options (comparator, compression, ...) are not part of a backup"
        self.assertIn(note, self.succeed("inspect", "-s", backup).stdout)
        other = self.folder / "other"
        self.succeed("backup", "--source", f"tsv:{self.tsv([('a', '1')])}", "-s", other)
        self.assertNotIn(note, self.succeed("inspect", "-s", other).stdout)

    def test_inspect_prints_the_whole_backupmeta_as_json(self):
        store, backup = self.generate(), self.folder / "backup"
        self.succeed("backup", "--source", f"lmdb:{store}", "-s", f"local://{backup}", "--json")
        report = json.loads(self.succeed("inspect", "-s", backup, "--json").stdout)
        self.assertTrue(report["protected"])
        meta = report["backupmeta"]
        self.assertTrue(meta["is_raw_kv"])
        self.assertEqual(len(meta["files"]), 1)
        file = meta["files"][0]
        stored = (backup / file["name"]).read_bytes()
        self.assertEqual(file["sha256"], hashlib.sha256(stored).hexdigest())
        self.assertEqual(int(file["size"]), len(stored))
        self.assertEqual(int(file["total_kvs"]), 20000)
        self.assertEqual(report["info"]["source_kind"], "lmdb")
        text = self.succeed("inspect", "-s", backup, "--files").stdout
        self.assertIn("20000", text)
        self.assertIn(file["name"], text)

    def test_json_is_one_object_on_success_and_on_failure(self):
        source = f"tsv:{self.tsv([('a', '1'), ('b', '22')])}"
        report = json.loads(self.succeed("backup", "--source", source, "-s", "noop://", "--json").stdout)
        self.assertEqual(report["total_kvs"], 2)
        self.assertEqual(report["total_bytes"], 5)
        self.assertEqual(report["rebuilt_parts"], 0)
        failed = self.fail(COULD_NOT_FINISH, "no backup here", "inspect", "-s", self.folder, "--json")
        self.assertEqual(json.loads(failed.stdout)["error"]["code"], "not_found")

    def test_a_key_range_is_cut_out_of_a_database(self):
        pairs = [(f"k{i:03}", "v") for i in range(100)]
        store = self.folder / "store"
        self.succeed("convert", "--source", f"tsv:{self.tsv(pairs)}", "--sink", f"lmdb:{store}")
        report = json.loads(self.succeed(
            "backup", "--source", f"lmdb:{store}", "-s", self.folder / "b", "--json", "--format", "raw",
            "--start", "k010", "--end", "k030").stdout)
        self.assertEqual(report["total_kvs"], 20)
        self.assertEqual(report["ranges"], [
            {"cf": "default", "start": b"k010".hex(), "end": b"k030".hex()}])

    def test_every_database_is_a_range_and_cf_names_one(self):
        store = self.folder / "store"
        for name in ("one", "two"):
            pairs = self.tsv([(f"{name}{i}", "v") for i in range(5)], f"{name}.tsv")
            if not store.exists():
                subprocess.run(["mkdir", str(store)], check=True)
            dump = "VERSION=3\nformat=bytevalue\ndatabase=" + name + "\ntype=btree\nmapsize=1048576\nHEADER=END\n"
            for line in pairs.read_text().splitlines():
                key, value = line.split("\t")
                dump += f" {key}\n {value}\n"
            subprocess.run(["mdb_load", str(store)], input=dump + "DATA=END\n", text=True, check=True)
        report = json.loads(self.succeed("backup", "--source", f"lmdb:{store}", "-s", self.folder / "all",
                                         "--json", "--concurrency", 2).stdout)
        self.assertEqual([r["cf"] for r in report["ranges"]], ["one", "two"])
        self.assertEqual(report["total_kvs"], 10)
        report = json.loads(self.succeed("backup", "--source", f"lmdb:{store}", "-s", self.folder / "two",
                                         "--json", "--cf", "two").stdout)
        self.assertEqual(report["total_kvs"], 5)
        self.fail(WRONG_USAGE, "name one with --cf", "backup", "--source", f"lmdb:{store}", "-s",
                  self.folder / "x", "--start", "00")

    def test_a_dry_run_says_what_there_is_and_writes_nothing(self):
        store, backup = self.generate(100), self.folder / "backup"
        result = self.succeed("backup", "--source", f"lmdb:{store}", "-s", backup, "--dry-run")
        self.assertIn("pairs: 100", result.stdout)
        self.assertFalse(backup.exists())

    def test_progress_is_a_log_line_where_there_is_no_terminal(self):
        # 8 MiB at 1 MiB a second take longer than the 5 seconds between two lines
        store = self.generate(100_000)
        result = self.succeed("backup", "--source", f"lmdb:{store}", "-s", self.folder / "b", "--compression",
                              "none", "--file-size", 1, "--ratelimit", 1)
        self.assertNotIn("\r", result.stderr)
        self.assertRegex(result.stderr, r"Full backup: [0-9.]+%, [0-9]+ pairs, .* stored, [0-9]+ files")

    def test_redact_hides_keys(self):
        bad = self.folder / "bad.tsv"
        bad.write_text("736563726574\t00\n613a\t00\n")
        shown = self.fail(COULD_NOT_FINISH, "613a", "backup", "--source", f"tsv:{bad}", "-s", "noop://")
        self.assertIn("line 2", shown.stderr)
        hidden = self.run_program("backup", "--source", f"tsv:{bad}", "-s", "noop://", "--redact")
        self.assertEqual(hidden.returncode, COULD_NOT_FINISH)
        self.assertNotIn("613a", hidden.stderr)
        self.assertNotIn("736563726574", hidden.stderr)
        backup = self.folder / "b"
        self.succeed("backup", "--source", f"tsv:{self.tsv([('secret', '1')])}", "-s", backup,
                     "--format", "raw", "--start", "secret")
        for flags in ([], ["--json"], ["--files"]):
            self.assertNotIn(b"secret".hex(), self.succeed("inspect", "-s", backup, "--redact", *flags).stdout)


    @unittest.skipUnless(os.geteuid() == 0, "only root can become somebody else")
    def test_it_works_for_users_that_are_not_root_and_leaves_them_their_store(self):
        os.chmod(self.folder, 0o777)
        store = self.folder / "store"

        def as_nobody(*arguments):
            return subprocess.run([str(a) for a in arguments], user="nobody", text=True, capture_output=True,
                                  timeout=60, check=False)
        try:
            as_nobody("true")
        except (PermissionError, LookupError):
            self.skipTest("there is no user nobody here")
        program = self.folder / "kvbackup"
        shutil.copy(PROGRAM, program)
        self.assertEqual(as_nobody(program, "generate", "--sink", f"lmdb:{store}", "--count", 100).returncode, DONE)
        for name in ("one", "two"):
            result = as_nobody(program, "backup", "--source", f"lmdb:{store}", "-s", self.folder / name)
            self.assertEqual(result.returncode, DONE, result.stderr)
        self.assertEqual(as_nobody("mdb_stat", store).returncode, 0)

    def test_a_folder_below_the_destination_is_none_of_its_business(self):
        backup = self.folder / "b"
        (backup / "lost+found").mkdir(parents=True)
        (backup / "lost+found" / "x").write_text("x")
        self.succeed("backup", "--source", f"tsv:{self.tsv([('a', '1')])}", "-s", backup)

    def test_names_that_are_not_utf8_are_said_in_valid_json(self):
        missing = os.fsencode(self.folder) + b"/caf\xe9"
        result = subprocess.run([PROGRAM.encode(), b"backup", b"--json", b"-s", b"noop://", b"--source",
                                 b"tsv:" + missing], capture_output=True, timeout=60, check=False)
        self.assertEqual(result.returncode, COULD_NOT_FINISH)
        self.assertIn("caf", json.loads(result.stdout)["error"]["object"])


class PlacesTest(ProgramTest):
    def test_check_tries_a_folder_and_leaves_it_as_it_was(self):
        folder = self.folder / "place"
        result = json.loads(self.succeed("check", "-s", folder, "--json").stdout)
        self.assertEqual([step["state"] for step in result["steps"]], ["ok"] * 5)
        self.assertEqual((result["usable"], result["has_backup"]), (True, False))
        self.assertEqual(list(folder.iterdir()), [])
        (self.folder / "file").write_text("no folder")
        failed = self.run_program("check", "-s", self.folder / "file", "--json")
        self.assertEqual(failed.returncode, COULD_NOT_FINISH)
        states = [step["state"] for step in json.loads(failed.stdout)["steps"]]
        self.assertEqual(states, ["failed", "not tried", "not tried", "not tried", "not tried"])
        self.fail(WRONG_USAGE, "noop", "check", "-s", "noop://")

    def test_verify_after_reads_the_backup_again(self):
        store, backup = self.generate(2000), self.folder / "backup"
        result = self.succeed("backup", "--source", f"lmdb:{store}", "-s", backup, "--verify-after")
        self.assertIn(": whole; files: 1, pairs: 2000", result.stdout)
        self.fail(WRONG_USAGE, "noop", "backup", "--source", f"lmdb:{store}", "-s", "noop://", "--verify-after")

    def test_a_folder_for_the_store_is_written_and_read(self):
        store, backup = self.generate(), self.folder / "backup"
        self.succeed("backup", "--source", f"lmdb:{store}", "-s", backup, "--store-folder", "--file-size", 1)
        names = sorted(path.name for path in backup.iterdir())
        self.assertEqual(names, ["1", "backupmeta"])
        self.assertGreater(len(list((backup / "1").glob("*_1_*.sst"))), 1)
        self.succeed("verify", "-s", backup, "--strict")
        scanned = self.succeed("scan", "-s", backup).stdout
        self.assertEqual(scanned, self.succeed("convert", "--source", f"lmdb:{store}", "--sink", "tsv:-").stdout)


class BadInputTest(ProgramTest):
    def test_json_is_promised_for_wrong_flags_too(self):
        for arguments in (["backup", "--json"], ["backup", "--json", "--nonsense"]):
            result = self.run_program(*arguments)
            self.assertEqual(result.returncode, WRONG_USAGE)
            self.assertEqual(json.loads(result.stdout)["error"]["code"], "invalid_argument")

    def test_closed_standard_descriptors_do_not_end_up_in_files(self):
        target = self.folder / "out.tsv"
        done = subprocess.run(f'"{PROGRAM}" generate --sink tsv:{target} --count 10 <&- >&- 2>&-', shell=True,
                              timeout=60, check=False)
        self.assertEqual(done.returncode, DONE)
        expected = self.succeed("generate", "--sink", "tsv:-", "--count", 10).stdout
        self.assertEqual(target.read_text(), expected)

    def test_an_existing_backup_is_refused_and_not_touched(self):
        source, backup = f"tsv:{self.tsv([('a', '1')])}", self.folder / "backup"
        self.succeed("backup", "--source", source, "-s", backup)
        before = {p.name: p.read_bytes() for p in backup.iterdir()}
        self.fail(COULD_NOT_FINISH, "already holds a backup", "backup", "--source", source, "-s", backup)
        self.assertEqual(before, {p.name: p.read_bytes() for p in backup.iterdir()})

    def test_wrong_flags_are_wrong_usage(self):
        source = f"tsv:{self.tsv([('a', '1')])}"
        backup = self.folder / "backup"

        def refused(text, *flags, source=source, storage=backup):
            result = self.fail(WRONG_USAGE, text, "backup", "--source", source, "-s", storage, *flags)
            self.assertFalse(backup.exists())
            return result

        refused("bogus", "--format", "bogus")
        refused("hex", "--start", "6")
        refused("hex", "--start", "zz")
        refused("--start must be below --end", "--start", "62", "--end", "61")
        refused("--start must be below --end", "--start", "61", "--end", "61")
        refused("raw, escaped or hex", "--start", "61", "--format", "base64")
        refused("lz4, snappy, zstd, none", "--compression", "zip")
        for codec in ("lz4", "snappy", "none"):
            refused(codec + " has no levels", "--compression", codec, "--compression-level", 3)
        refused("has no levels", "--compression-level", 0)
        for level in (23, -131073, "high"):
            refused("--compression-level", "--compression", "zstd", "--compression-level", level)
        refused("storage", storage="ftp://host/path")
        refused("storage", storage="s3://bucket/prefix?secret-access-key=TOPSECRET")
        refused("SCHEME:PATH", source="nowhere")
        refused("no kind of store", source="mysql:/x")
        refused("no parameter", source=source + "?colour=red")
        refused("concurrency", "--concurrency", "0")
        refused("--ratelimit", "--ratelimit", "99999999999999999")
        refused("--read-ratelimit", "--read-ratelimit", "99999999999999999")
        refused("br and rocksdb", "--profile", "tikv")
        result = self.run_program("backup", "--source", source, "-s",
                                  "s3://bucket/prefix?secret-access-key=TOPSECRET")
        self.assertNotIn("TOPSECRET", result.stdout + result.stderr)
        result = self.run_program("backup", "-s", backup, "--source", "s3://b/p?secret-access-key=TOPSECRET")
        self.assertNotIn("TOPSECRET", result.stdout + result.stderr)
        self.assertEqual(self.run_program().returncode, WRONG_USAGE)
        self.assertEqual(self.run_program("backup").returncode, WRONG_USAGE)
        self.assertEqual(self.run_program("--help").returncode, DONE)
        self.assertEqual(self.run_program("--version").returncode, DONE)

    def test_a_line_out_of_order_is_named_by_its_number(self):
        backup = self.folder / "backup"
        bad = self.tsv([("a", "1"), ("c", "2"), ("b", "3")])
        self.fail(COULD_NOT_FINISH, "line 3", "backup", "--source", f"tsv:{bad}", "-s", backup)
        self.assert_no_backup(backup)

    def test_a_line_that_is_no_pair_is_named_by_its_number(self):
        backup = self.folder / "backup"
        for text in ("61 31\n", "61\t3\n", "6x\t31\n", "\n"):
            bad = self.folder / "bad.tsv"
            bad.write_text("60\t30\n" + text)
            self.fail(COULD_NOT_FINISH, "line 2", "backup", "--source", f"tsv:{bad}", "-s", backup)
            self.assert_no_backup(backup)

    def test_a_store_that_is_not_there_is_named(self):
        for source in (f"lmdb:{self.folder}/none", f"tsv:{self.folder}/none"):
            self.fail(COULD_NOT_FINISH, f"{self.folder}/none", "backup", "--source", source, "-s",
                      self.folder / "backup")

    def test_an_unknown_database_is_named(self):
        store = self.generate(10)
        self.fail(COULD_NOT_FINISH, "nosuch", "backup", "--source", f"lmdb:{store}?db=nosuch", "-s",
                  self.folder / "backup")

    def test_a_folder_that_cannot_be_written_is_an_error_that_names_it(self):
        source = f"tsv:{self.tsv([('a', '1')])}"
        blocked = self.folder / "file"
        blocked.write_text("not a folder")
        self.fail(WRONG_USAGE, "file", "backup", "--source", source, "-s", blocked / "backup")
        self.assertEqual(blocked.read_text(), "not a folder")

    def test_a_failed_write_of_the_result_is_not_success(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        source = f"tsv:{self.tsv([('a', '1')])}"
        with open("/dev/full", "w", encoding="ascii") as full:
            code = subprocess.run([PROGRAM, "backup", "--source", source, "-s", "noop://"], stdout=full,
                                  stderr=subprocess.DEVNULL, timeout=60, check=False).returncode
        self.assertEqual(code, COULD_NOT_FINISH)


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("mount"), "only root can mount a small disk")
class SmallDiskTest(ProgramTest):
    def mount(self, options):
        disk = self.folder / "disk"
        disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(disk)], check=False,
                          stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("this machine mounts nothing")
        self.addCleanup(subprocess.run, ["umount", "-l", str(disk)], check=True)
        return disk

    def test_a_full_disk_ends_the_run_without_a_backup(self):
        disk = self.mount("size=3m")
        store = self.generate(100_000)
        result = self.fail(COULD_NOT_FINISH, "no_space", "backup", "--source", f"lmdb:{store}", "-s",
                           disk / "b", "--file-size", 1, "--compression", "none")
        self.assertIn("No space left on device", result.stderr)
        self.assertIn(str(disk), result.stderr)
        self.assert_no_backup(disk / "b")
        self.assertGreater(len(list((disk / "b").iterdir())), 0)

    def test_a_read_only_disk_is_named(self):
        disk = self.mount("size=1m,ro")
        source = f"tsv:{self.tsv([('a', '1')])}"
        result = self.fail(COULD_NOT_FINISH, "permission_denied", "backup", "--source", source, "-s", disk)
        self.assertIn(str(disk), result.stderr)
        self.assertEqual(list(disk.iterdir()), [])


class TerminalTest(ProgramTest):
    def test_a_terminal_gets_a_bar_that_ends_at_100_percent(self):
        store = self.generate(50_000)
        controller, terminal = pty.openpty()
        process = subprocess.Popen([PROGRAM, "backup", "--source", f"lmdb:{store}", "-s",
                                    str(self.folder / "b")], stdout=subprocess.DEVNULL, stderr=terminal)
        os.close(terminal)
        shown = b""
        while True:
            try:
                more = os.read(controller, 65536)
            except OSError:  # how Linux says that the other side is closed
                break
            if not more:
                break
            shown += more
        os.close(controller)
        self.assertEqual(process.wait(timeout=60), DONE)
        self.assertRegex(shown, rb"\rFull backup <-+> 100\.00%")
        self.assertIn(b"/s", shown)


class InterruptTest(ProgramTest):
    def interrupt(self, signal_number):
        backup = self.folder / f"backup{signal_number}"
        # a source that never ends keeps the program at work until the signal comes
        read, write = os.pipe()
        process = subprocess.Popen([PROGRAM, "backup", "--source", "tsv:-", "-s", str(backup), "--file-size", "1"],
                                   stdin=read, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        os.close(read)
        number = 0
        with os.fdopen(write, "w") as pipe:
            while not (backup.exists() and any(backup.glob("*.sst"))):
                for _ in range(1000):
                    pipe.write(f"{number:016x}\t{'ab' * 500}\n")
                    number += 1
                self.assertLess(number, 10_000_000)
            process.send_signal(signal_number)
            try:
                while process.poll() is None:
                    for _ in range(1000):
                        pipe.write(f"{number:016x}\t{'ab' * 500}\n")
                        number += 1
            except BrokenPipeError:
                pass
            try:
                output = process.communicate(timeout=60)
            finally:
                process.kill()
        return backup, process.returncode, output[1]

    def test_a_signal_ends_a_wait_for_input(self):
        read, write = os.pipe()
        process = subprocess.Popen([PROGRAM, "backup", "--source", "tsv:-", "-s", str(self.folder / "b")], stdin=read,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        os.close(read)
        os.write(write, b"00\t00\n")
        # until it catches the signal and sleeps
        while process.poll() is None:
            status = dict(line.split(":\t", 1) for line in
                          pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines() if ":\t" in line)
            if int(status["SigCgt"], 16) >> (signal.SIGINT - 1) & 1 and status["State"].startswith("S"):
                break
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=60)[1]
        os.close(write)
        self.assertEqual(process.returncode, COULD_NOT_FINISH, errors)
        self.assertIn("cancelled", errors)

    def test_a_signal_ends_the_run_cleanly(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            backup, code, errors = self.interrupt(number)
            self.assertEqual(code, COULD_NOT_FINISH, errors)
            self.assertIn("cancelled", errors)
            self.assertFalse((backup / "backupmeta").exists())
            self.assert_no_backup(backup)


class ConvertTest(ProgramTest):
    def test_pairs_survive_the_way_through_lmdb_and_back(self):
        pairs = [("a", ""), ("b\t\n", "tab and line"), ("\u00ff", "\x00\x01"), ("z" * 500, "v" * 10000)]
        source = self.tsv(sorted(pairs, key=lambda pair: pair[0].encode()))
        store = self.folder / "store"
        self.succeed("convert", "--source", f"tsv:{source}", "--sink", f"lmdb:{store}")
        result = self.succeed("convert", "--source", f"lmdb:{store}", "--sink", "tsv:-")
        self.assertEqual(result.stdout, source.read_text())

    def test_formats_are_read_and_written(self):
        result = self.succeed("convert", "--source", "tsv:-?format=escaped", "--sink", "tsv:-?format=hex",
                              stdin="a\\n\tb\\x00\n")
        self.assertEqual(result.stdout, "610a\t6200\n")
        self.fail(COULD_NOT_FINISH, "raw", "convert", "--source", "tsv:-", "--sink", "tsv:-?format=raw",
                  stdin="610a\t62\n")

    def test_a_key_that_lmdb_cannot_hold_leaves_no_store(self):
        for key in ("", "k" * 512):
            store = self.folder / "store"
            self.fail(COULD_NOT_FINISH, "511", "convert", "--source", f"tsv:{self.tsv([(key, 'v')])}",
                      "--sink", f"lmdb:{store}")
            self.assertEqual([p.name for p in self.folder.iterdir()], ["pairs.tsv"])

    def test_an_existing_store_is_not_replaced(self):
        store = self.generate(10)
        self.fail(COULD_NOT_FINISH, "already", "generate", "--sink", f"lmdb:{store}", "--count", "5")
        target = self.folder / "there.tsv"
        target.write_text("mine")
        self.fail(COULD_NOT_FINISH, "there", "generate", "--sink", f"tsv:{target}", "--count", "5")
        self.assertEqual(target.read_text(), "mine")

    def test_generated_stores_are_the_same_for_one_seed(self):
        def made(seed):
            return self.succeed("generate", "--sink", "tsv:-", "--count", "50", "--seed", seed).stdout
        self.assertEqual(made(1), made(1))
        self.assertNotEqual(made(1), made(2))
        self.assertEqual(made(1).count("\n"), 50)


if __name__ == "__main__":
    unittest.main()
