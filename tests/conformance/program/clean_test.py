# SPDX-License-Identifier: Apache-2.0
"""What `clean` and `delete` promise: they remove what is ours and nobody needs, and nothing else."""
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import unittest

PROGRAM = os.environ["KVBACKUP"]
DONE, COULD_NOT_FINISH, WRONG_USAGE, DAMAGE_FOUND = 0, 1, 2, 3


class CleanTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="kvbackup-clean-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.place = self.folder / "backup"

    def run_program(self, *arguments, code=DONE):
        result = subprocess.run([PROGRAM, *map(str, arguments)], text=True, capture_output=True, timeout=120, check=False)
        self.assertEqual(result.returncode, code, result.stderr)
        return result

    def back_up(self, *flags, place=None):
        tsv = self.folder / "pairs.tsv"
        tsv.write_text("".join(f"{i:08x}\t{'ab' * 300}\n" for i in range(6000)))
        self.run_program("backup", "--source", f"tsv:{tsv}", "-s", place or self.place, "--file-size", 1, *flags)

    def files(self):
        return {str(path.relative_to(self.place)): path.read_bytes() for path in self.place.rglob("*") if path.is_file()}

    def items(self, *flags, code=DONE):
        report = json.loads(self.run_program("clean", "-s", self.place, "--json", *flags, code=code).stdout)
        return sorted((item["kind"], item["name"]) for item in report["items"])

    def test_a_whole_backup_has_nothing_to_clean(self):
        self.back_up()
        before = self.files()
        self.assertEqual(self.items("--yes"), [])
        self.assertEqual(self.files(), before)

    def test_what_is_left_is_shown_and_removed_only_with_yes(self):
        self.back_up()
        whole = self.files()
        theirs = {"notes.txt": b"x", "1_1.sst": b"x", ".notes.txt.tmp0123456789abcdef": b"x", "sub/1_1_1_default.sst": b"x",
                  "inner/backupmeta": b"x", "inner/1_1_1_default.sst": b"x"}
        ours = {"9_9_9_default.sst": "file", "kvbackup.checkpoint.0123456789abcdef.0": "checkpoint"}
        for name in (*theirs, *ours, ".9_9_8_default.sst.tmp0123456789abcdef"):
            (self.place / name).parent.mkdir(exist_ok=True)
            (self.place / name).write_bytes(b"x")
        expected = sorted([(kind, name) for name, kind in ours.items()] + [("unfinished", "9_9_8_default.sst")])
        before = self.files()
        self.assertEqual(self.items(), expected)
        text = self.run_program("clean", "-s", self.place).stdout
        self.assertIn("--yes removes them", text)
        self.assertIn("9_9_9_default.sst", text)
        self.assertEqual(self.files(), before)
        self.assertEqual(self.items("--yes"), expected)
        self.assertEqual(self.files(), whole | theirs)
        self.assertEqual(self.items(), [])
        self.run_program("verify", "-s", self.place)

    def test_what_a_killed_run_leaves_goes_and_what_lives_stays(self):
        fifo = self.folder / "fifo"
        os.mkfifo(fifo)
        process = subprocess.Popen([PROGRAM, "backup", "--source", f"tsv:{fifo}", "-s", self.place, "--file-size", "1"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        with open(fifo, "w", encoding="ascii") as pipe:
            # as much as makes a file and begins the next one
            for i in range(6000):
                pipe.write(f"{i:08x}\t{'ab' * 300}\n")
            pipe.flush()
            while not list(self.place.glob("*.sst")):
                os.sched_yield()
            held = self.run_program("clean", "-s", self.place)
            if "kvbackup.lock." in " ".join(self.files()):
                self.assertIn("is at work", held.stderr)
                refused = self.run_program("clean", "-s", self.place, "--yes", code=COULD_NOT_FINISH)
                self.assertIn("at work", refused.stderr)
            self.assertTrue(list(self.place.glob("*.sst")))
            process.send_signal(signal.SIGKILL)
            process.wait()
        self.assertTrue(self.items())
        self.run_program("clean", "-s", self.place, "--yes")
        self.assertEqual(self.files(), {})
        self.back_up()
        self.run_program("verify", "-s", self.place, "--strict")

    def test_a_damaged_backup_is_left_alone(self):
        self.back_up()
        (self.place / "backupmeta").write_bytes(b"damaged")
        before = self.files()
        self.run_program("clean", "-s", self.place, "--yes", code=DAMAGE_FOUND)
        self.run_program("delete", "-s", self.place, code=DAMAGE_FOUND)
        self.assertEqual(self.files(), before)

    def test_delete_removes_the_backup_and_its_empty_folders(self):
        self.back_up("--store-folder")
        before = self.files()
        report = json.loads(self.run_program("delete", "-s", self.place, "--dry-run", "--json").stdout)
        self.assertFalse(report["deleted"])
        self.assertEqual(report["objects"], len(before))
        self.assertEqual(self.files(), before)
        self.assertIn("deleted", self.run_program("delete", "-s", self.place).stdout)
        self.assertFalse(self.place.exists())
        self.run_program("delete", "-s", self.place, code=COULD_NOT_FINISH)

    def test_delete_keeps_what_is_not_of_the_backup(self):
        self.back_up()
        (self.place / "notes.txt").write_bytes(b"theirs")
        self.run_program("delete", "-s", self.place)
        self.assertEqual(self.files(), {"notes.txt": b"theirs"})


if __name__ == "__main__":
    unittest.main()
