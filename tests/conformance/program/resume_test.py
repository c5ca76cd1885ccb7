# SPDX-License-Identifier: Apache-2.0
"""A backup to disk that is killed (SIGKILL) at random moments and resumed: it comes out whole, and what was
finished is not written again. KILLS=200 for a long proof."""
import hashlib
import json
import random
import shutil
import subprocess
import unittest

from kills import SEED, Victim, digest, kills
from program_test import COULD_NOT_FINISH, PROGRAM, ProgramTest, WRONG_USAGE


def pairs_of(*arguments):
    """The SHA-256 of the pairs that a command prints as TSV."""
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return hashlib.sha256(done.stdout).hexdigest()


class KillTest(ProgramTest):
    def files(self, folder):
        return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.glob("*.sst")}

    def contents(self, folder):
        """Of the files, by all of their names but the time."""
        return sorted((path.name.split("_")[1], digest(path)) for path in folder.glob("*.sst"))

    def check_whole(self, backup, reference, pairs):
        self.succeed("verify", "-s", backup, "--strict")
        self.assertEqual(self.contents(backup), reference, f"seed {SEED}")
        self.assertEqual(sorted(path.name for path in backup.iterdir() if path.suffix != ".sst"), ["backupmeta"],
                         f"seed {SEED}")
        self.assertEqual(pairs_of("restore", "-s", backup, "--sink", "tsv:-"), pairs, f"seed {SEED}")

    def check_kills(self, source, count, *flags):
        moments = random.Random(SEED)
        flags = ["--source", source, "--file-size", 1, "--compression", "none", "--checkpoint-interval", 0, *flags]
        pairs = pairs_of("convert", "--source", source, "--sink", "tsv:-")
        undisturbed = self.folder / "undisturbed"
        seconds = Victim(PROGRAM, [*flags, "-s", undisturbed]).timed()
        reference = self.contents(undisturbed)
        seen = {"killed": 0, "resumed": 0, "kept": 0, "written": 0}
        for number in range(count):
            backup = self.folder / f"backup{number}"
            victim = Victim(PROGRAM, [*flags, "-s", backup])
            before = {}
            killed = victim.kill_after(moments.uniform(0, seconds))
            # one that is killed again and again gets on
            while killed:
                seen["killed"] += 1
                before = self.files(backup)
                if (backup / "backupmeta").exists() and not list(backup.glob("kvbackup.checkpoint.*")):
                    victim.run("--resume", expected=COULD_NOT_FINISH)
                    break
                if moments.random() < 0.5:
                    report = json.loads(victim.run("--resume", "--json").stdout)
                    seen["resumed"] += 1
                    seen["kept"] += len(before)
                    seen["written"] += len(self.files(backup)) - len(before)
                    self.assertLessEqual(report["resumed_files"], len(before))
                    break
                killed = victim.kill_after(moments.uniform(0, seconds), "--resume")
            after = self.files(backup)
            self.assertEqual({name: after.get(name) for name in before}, before, f"seed {SEED}")
            self.check_whole(backup, reference, pairs)
            shutil.rmtree(backup)
        print(f"{source.split(':')[0]}: seed {SEED}: {seen}", flush=True)

    def test_killed_at_random_moments_a_backup_of_rocksdb_is_resumed(self):
        store = self.folder / "store"
        self.succeed("generate", "--sink", f"rocksdb:{store}", "--count", 20000, "--value-size", 800)
        self.check_kills(f"rocksdb:{store}", kills(8), "--concurrency", 3)

    def test_killed_at_random_moments_a_backup_of_lmdb_is_resumed(self):
        store = self.folder / "store"
        self.succeed("generate", "--sink", f"lmdb:{store}", "--count", 15000, "--value-size", 800)
        self.check_kills(f"lmdb:{store}", kills(7))


class ResumeTest(ProgramTest):
    def unfinished(self, source):
        """A backup that was killed with some of its files finished, and kept from finishing the others by its rate."""
        backup = self.folder / "backup"
        victim = Victim(PROGRAM, ["--source", source, "-s", backup, "--file-size", 1, "--checkpoint-interval", 0,
                                  "--concurrency", 1, "--read-ratelimit", 1])
        victim.kill_when(lambda: list(backup.glob("kvbackup.checkpoint.*.1")))
        return backup

    def test_another_job_is_refused_by_the_name_of_what_differs(self):
        table = self.tsv([(f"key{i:06}", "v" * 1000) for i in range(5000)])
        backup = self.unfinished(f"tsv:{table}")
        again = ["backup", "--source", f"tsv:{table}", "-s", backup, "--file-size", 1]
        self.fail(COULD_NOT_FINISH, "--resume", *again)
        for flags, name in ((["--compression", "zstd"], "compression"), (["--file-size", 2], "part size"),
                            (["--cluster-id", 7], "cluster id"), (["--store-folder"], "store folder"),
                            (["--start", "00"], "key ranges"), (["--profile", "rocksdb"], "profile")):
            options = again if flags[0] != "--file-size" else again[:-2]
            self.fail(COULD_NOT_FINISH, name, *options, *flags, "--resume")
        # one key more
        content = table.read_text()
        table.write_text(content + "ff\t00\n")
        self.fail(COULD_NOT_FINISH, "state of the source", *again, "--resume")
        self.assertFalse((backup / "backupmeta").exists())

    def test_a_backup_of_a_table_is_resumed(self):
        table = self.tsv([(f"key{i:06}", "v" * 1000) for i in range(5000)])
        backup = self.unfinished(f"tsv:{table}")
        report = json.loads(self.succeed("backup", "--source", f"tsv:{table}", "-s", backup, "--file-size", 1,
                                         "--resume", "--json").stdout)
        self.assertGreater(report["resumed_files"], 0)
        self.assertEqual(report["total_kvs"], 5000)
        self.succeed("verify", "-s", backup, "--strict")

    @unittest.skipIf(shutil.which("ldb") is None, "ldb (rocksdb-tools) is not installed")
    def test_one_key_changed_in_a_store_is_refused(self):
        store = self.folder / "store"
        self.succeed("generate", "--sink", f"rocksdb:{store}", "--count", 5000, "--value-size", 1000)
        backup = self.unfinished(f"rocksdb:{store}")
        subprocess.run(["ldb", f"--db={store}", "put", "a", "1"], capture_output=True, timeout=60, check=True)
        self.fail(COULD_NOT_FINISH, "state of the source", "backup", "--source", f"rocksdb:{store}", "-s", backup,
                  "--file-size", 1, "--resume")

    def test_what_cannot_be_resumed_is_said(self):
        self.fail(WRONG_USAGE, "cannot tell its state", "backup", "--source", "tsv:-", "-s",
                  self.folder / "backup", "--resume", stdin="00\t00\n")
        self.succeed("backup", "--source", "tsv:-", "-s", self.folder / "backup", stdin="00\t00\n")
        self.fail(WRONG_USAGE, "--checkpoint-interval", "backup", "--source", "tsv:-", "-s", self.folder / "b",
                  "--checkpoint-interval", "often")

    def test_a_destination_that_br_locked_is_refused(self):
        backup = self.folder / "backup"
        backup.mkdir()
        (backup / "backup.lock").write_text("DO NOT DELETE")
        self.fail(COULD_NOT_FINISH, "backup.lock", "backup", "--source", "tsv:-", "-s", backup, stdin="00\t00\n")


if __name__ == "__main__":
    unittest.main()
