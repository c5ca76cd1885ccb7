# SPDX-License-Identifier: Apache-2.0
"""What the program promises of reading a backup: verify, get, scan, list, inspect, and sst: as a source."""
import json
import random
import shutil
import subprocess
import unittest

import program_test
from program_test import COULD_NOT_FINISH, DONE, WRONG_USAGE

DAMAGE_FOUND = 3


def flip(path, byte, bit=0):
    data = bytearray(path.read_bytes())
    data[byte] ^= 1 << bit
    path.write_bytes(data)


class ReadTest(program_test.ProgramTest):
    def back_up(self, count=20000, name="backup", *flags):
        backup = self.folder / name
        self.succeed("backup", "--source", f"lmdb:{self.generate(count, name + '-store')}", "-s", backup,
                     "--file-size", 1, *flags)
        return backup

    def back_up_pairs(self, pairs, name="backup", *flags):
        backup = self.folder / name
        self.succeed("backup", "--source", f"tsv:{self.tsv(pairs)}", "-s", backup, *flags)
        return backup


class VerifyTest(ReadTest):
    def test_a_whole_backup_is_whole(self):
        backup = self.back_up()
        result = self.succeed("verify", "-s", backup)
        self.assertIn(": whole; files: 3, pairs: 20000", result.stdout)
        report = json.loads(self.succeed("verify", "-s", f"local://{backup}", "--json").stdout)
        self.assertTrue(report["whole"] and report["protected"])
        self.assertEqual((report["total_kvs"], report["findings"], report["damages"]), (20000, [], 0))
        self.assertEqual(report["stored_bytes"], sum(p.stat().st_size for p in backup.glob("*.sst")))
        self.assertIn("quick", self.succeed("verify", "-s", backup, "--quick").stdout)

    def test_damage_of_any_file_is_found_and_the_file_named(self):
        backup = self.back_up()
        chance = random.Random(5)
        for path in sorted(backup.iterdir()):
            before = path.read_bytes()
            for _ in range(3):
                flip(path, chance.randrange(len(before)), chance.randrange(8))
                result = self.run_program("verify", "-s", backup)
                self.assertEqual(result.returncode, DAMAGE_FOUND, result.stdout + result.stderr)
                self.assertIn(path.name, result.stdout)
                self.assertIn("DAMAGED", result.stdout)
                path.write_bytes(before[:chance.randrange(len(before))])
                result = self.run_program("verify", "-s", backup, "--json")
                self.assertEqual(result.returncode, DAMAGE_FOUND)
                report = json.loads(result.stdout)
                self.assertFalse(report["whole"])
                self.assertIn(path.name, [finding["object"] for finding in report["findings"]])
                path.write_bytes(before)
        self.succeed("verify", "-s", backup)

    def test_every_damaged_file_has_its_line_with_its_key_range(self):
        backup = self.back_up()
        meta = json.loads(self.succeed("inspect", "-s", backup, "--json").stdout)["backupmeta"]
        first, second, third = meta["files"]
        (backup / first["name"]).unlink()
        flip(backup / third["name"], 5000)
        result = self.run_program("verify", "-s", backup)
        self.assertEqual(result.returncode, DAMAGE_FOUND)
        lines = result.stdout.splitlines()
        missing = [line for line in lines if first["name"] in line]
        self.assertEqual(len(missing), 1, result.stdout)
        self.assertIn("missing", missing[0])
        self.assertIn(f'key range ["", {first["end_key"]})', missing[0])
        self.assertTrue(any(third["name"] in line and "SHA-256" in line for line in lines), result.stdout)
        self.assertFalse(any(second["name"] in line for line in lines))
        hidden = self.run_program("verify", "-s", backup, "--redact", "--json").stdout
        self.assertNotIn(first["end_key"], hidden)

    def test_strangers_are_warnings_and_damage_only_if_asked(self):
        backup = self.back_up_pairs([("a", "1")])
        (backup / "backup.lock").write_text("DO NOT DELETE")
        (backup / "old_1_1_default.sst").write_text("leftover")
        result = self.succeed("verify", "-s", backup)
        self.assertEqual(result.stdout.count("warning: "), 2, result.stdout)
        result = self.run_program("verify", "-s", backup, "--strict")
        self.assertEqual(result.returncode, DAMAGE_FOUND)
        self.assertEqual(result.stdout.count("damage: "), 2, result.stdout)

    def test_what_cannot_be_verified_at_all_is_told_by_the_exit_code(self):
        self.fail(COULD_NOT_FINISH, "no backup here", "verify", "-s", self.folder)
        self.fail(WRONG_USAGE, "noop", "verify", "-s", "noop://")
        self.fail(WRONG_USAGE, "", "verify", "-s", self.folder, "--concurrency", "0")


class GetTest(ReadTest):
    def test_a_value_is_printed_as_it_is_asked_for(self):
        backup = self.back_up_pairs([("a", "one"), ("b\n", "t\two")])
        self.assertEqual(self.succeed("get", "-s", backup, "61").stdout, "6f6e65\n")
        self.assertEqual(self.succeed("get", "-s", backup, "a", "--format", "raw").stdout, "one")
        self.assertEqual(self.succeed("get", "-s", backup, "b\\n", "--format", "escaped").stdout, "t\\two\n")
        report = json.loads(self.succeed("get", "-s", backup, "61", "--json").stdout)
        self.assertEqual((report["key"], report["value"], report["cf"]), ("61", "6f6e65", "default"))

    def test_a_key_that_is_not_there_is_no_success(self):
        pairs = [(f"k{i}", "v") for i in range(10)]
        backup = self.back_up_pairs(pairs, "b", "--start", "k2", "--end", "k5", "--format", "raw")
        self.fail(COULD_NOT_FINISH, "does not have this key", "get", "-s", backup, "k3x", "--format", "raw")
        self.fail(COULD_NOT_FINISH, "outside of what was backed up", "get", "-s", backup, "k7", "--format", "raw")
        failed = self.fail(COULD_NOT_FINISH, "outside", "get", "-s", backup, "6b33", "--cf", "other", "--json")
        self.assertEqual(json.loads(failed.stdout)["error"]["code"], "not_found")
        self.fail(WRONG_USAGE, "KEY", "get", "-s", backup, "xyz")

    def test_damage_on_the_way_to_a_value_is_told(self):
        backup = self.back_up_pairs([("a", "one")], "b", "--compression", "none")
        file, = backup.glob("*.sst")
        flip(file, 3)
        self.fail(DAMAGE_FOUND, file.name, "get", "-s", backup, "61")
        self.fail(DAMAGE_FOUND, file.name, "scan", "-s", backup)
        (backup / "backupmeta").write_bytes(b"")
        self.fail(DAMAGE_FOUND, "backupmeta", "get", "-s", backup, "61")
        self.fail(DAMAGE_FOUND, "backupmeta", "inspect", "-s", backup)


class ScanTest(ReadTest):
    def test_a_scan_prints_what_the_store_held(self):
        backup = self.back_up(20000)
        expected = self.succeed("convert", "--source", f"lmdb:{self.folder / 'backup-store'}", "--sink", "tsv:-").stdout
        self.assertEqual(self.succeed("scan", "-s", backup).stdout, expected)
        lines = expected.splitlines(keepends=True)
        start, end = lines[7000].split("\t")[0], lines[13000].split("\t")[0]
        part = self.succeed("scan", "-s", backup, "--start", start, "--end", end).stdout
        self.assertEqual(part, "".join(lines[7000:13000]))
        few = self.succeed("scan", "-s", backup, "--start", start, "--limit", "3").stdout
        self.assertEqual(few, "".join(lines[7000:7003]))

    def test_formats_and_json(self):
        backup = self.back_up_pairs([("a", "1"), ("b\t", "2")])
        self.assertEqual(self.succeed("scan", "-s", backup, "--format", "escaped").stdout, "a\t1\nb\\t\t2\n")
        report = json.loads(self.succeed("scan", "-s", backup, "--json").stdout)
        self.assertEqual(report["pairs"], [{"key": "61", "value": "31"}, {"key": "6209", "value": "32"}])
        self.assertEqual(report["total_kvs"], 2)
        self.fail(COULD_NOT_FINISH, "does not hold this column family", "scan", "-s", backup, "--cf", "none")
        self.fail(WRONG_USAGE, "--start", "scan", "-s", backup, "--start", "62", "--end", "61")

    def test_damage_ends_a_scan_after_what_was_read_before_it(self):
        backup = self.back_up(20000, "backup", "--compression", "none")
        lines = self.succeed("scan", "-s", backup).stdout.splitlines()
        meta = json.loads(self.succeed("inspect", "-s", backup, "--json").stdout)["backupmeta"]
        flip(backup / meta["files"][1]["name"], 100)
        result = self.run_program("scan", "-s", backup)
        self.assertEqual(result.returncode, DAMAGE_FOUND)
        printed = result.stdout.splitlines()
        self.assertEqual(printed, lines[:len(printed)])
        self.assertEqual(len(printed), int(meta["files"][0]["total_kvs"]))
        self.assertIn(meta["files"][1]["name"], result.stderr)
        result = self.run_program("scan", "-s", backup, "--json")
        self.assertEqual(result.returncode, DAMAGE_FOUND)
        self.assertEqual(json.loads(result.stdout)["error"]["code"], "corruption")


class ListTest(ReadTest):
    def test_every_backup_below_a_folder_is_listed(self):
        source = f"tsv:{self.tsv([('a', '1'), ('b', '2')])}"
        for name in ("x/monday", "x/y/tuesday"):
            self.succeed("backup", "--source", source, "-s", self.folder / name)
        broken = self.folder / "x" / "broken"
        broken.mkdir()
        (broken / "backupmeta").write_text("no message")
        listed = self.run_program("list", "-s", self.folder / "x", "--json")
        self.assertEqual(listed.returncode, DAMAGE_FOUND, listed.stderr)
        report = json.loads(listed.stdout)
        rows = {row["folder"]: row for row in report["backups"]}
        self.assertEqual(sorted(rows), ["broken", "monday", "y/tuesday"])
        self.assertEqual((rows["monday"]["total_kvs"], rows["monday"]["protected"]), (2, True))
        self.assertIn("damaged", rows["broken"]["error"])
        listed = self.run_program("list", "-s", self.folder / "x")
        self.assertEqual(listed.returncode, DAMAGE_FOUND, listed.stderr)
        self.assertIn("y/tuesday", listed.stdout)
        shutil.rmtree(broken)
        self.assertIn("y/tuesday", self.succeed("list", "-s", self.folder / "x").stdout)
        here = json.loads(self.succeed("list", "-s", self.folder / "x" / "monday", "--json").stdout)
        self.assertEqual([row["folder"] for row in here["backups"]], ["."])
        self.assertEqual(json.loads(self.succeed("list", "-s", self.folder / "nowhere", "--json").stdout)["backups"], [])


class InspectTest(ReadTest):
    def test_tables_and_sizes_of_files_are_shown(self):
        backup = self.back_up(20000)
        text = self.succeed("inspect", "-s", backup, "--files", "--histograms").stdout
        self.assertIn("compression:", text)
        self.assertIn("crc32c", text)
        self.assertIn("LZ4", text)
        self.assertIn("keys: 20000, least 16, mean 16.0, most 16 bytes", text)
        self.assertIn("######", text)
        report = json.loads(self.succeed("inspect", "-s", backup, "--files", "--histograms", "--json").stdout)
        self.assertEqual(sum(table["entries"] for table in report["tables"]), 20000)
        self.assertEqual({table["format_version"] for table in report["tables"]}, {2})
        sizes = report["histograms"]
        self.assertEqual((sizes["value_size"]["count"], sizes["value_size"]["min"]), (20000, 100))
        self.assertEqual(sum(bucket["count"] for bucket in sizes["block_size"]["buckets"]),
                         sum(table["blocks"] for table in report["tables"]))
        plain = json.loads(self.succeed("inspect", "-s", backup, "--json").stdout)
        self.assertEqual(sorted(plain), ["backupmeta", "command", "info", "protected", "storage"])


class SstSourceTest(ReadTest):
    def test_files_of_a_backup_are_a_source(self):
        backup = self.back_up(20000, "backup", "--profile", "rocksdb")
        expected = self.succeed("scan", "-s", backup).stdout
        self.assertEqual(self.succeed("convert", "--source", f"sst:{backup}", "--sink", "tsv:-").stdout, expected)
        again = self.folder / "again"
        self.succeed("backup", "--source", f"sst:{backup}", "-s", again)
        self.succeed("verify", "-s", again)
        self.assertEqual(self.succeed("scan", "-s", again).stdout, expected)
        file = sorted(backup.glob("*.sst"))[0]
        alone = self.succeed("convert", "--source", f"sst:{file}", "--sink", "tsv:-").stdout
        self.assertTrue(alone and alone in expected)

    def test_a_key_in_two_files_is_an_error_that_names_both(self):
        both = self.folder / "both"
        both.mkdir()
        for name, pairs in (("one", [("a", "1"), ("b", "2")]), ("two", [("b", "3"), ("c", "4")])):
            backup = self.back_up_pairs(pairs, name)
            file, = backup.glob("*.sst")
            shutil.copy(file, both / f"{name}.sst")
        failed = self.fail(COULD_NOT_FINISH, "two files hold this key", "convert", "--source", f"sst:{both}",
                           "--sink", "tsv:-")
        self.assertIn("one.sst", failed.stderr)
        self.assertIn("two.sst", failed.stderr)
        self.assertIn(b"b".hex(), failed.stderr)

    def test_what_is_no_table_is_refused(self):
        self.fail(COULD_NOT_FINISH, "no .sst", "convert", "--source", f"sst:{self.folder}", "--sink", "tsv:-")
        self.fail(COULD_NOT_FINISH, "nothing", "convert", "--source", f"sst:{self.folder / 'nothing'}", "--sink", "tsv:-")
        wrong = self.folder / "wrong.sst"
        wrong.write_text("x" * 1000)
        self.fail(COULD_NOT_FINISH, "wrong.sst", "convert", "--source", f"sst:{wrong}", "--sink", "tsv:-")
        self.fail(WRONG_USAGE, "sst:", "generate", "--sink", f"sst:{self.folder / 'new'}", "--count", "1")

    @unittest.skipUnless(shutil.which("ldb"), "ldb is not installed")
    def test_deletions_in_a_folder_of_files_are_not_passed_over(self):
        db = self.folder / "db"
        for command in (["--create_if_missing", "put", "a", "1"], ["put", "b", "2"], ["delete", "a"], ["put", "c", "3"]):
            subprocess.run(["ldb", f"--db={db}", *command], check=True, timeout=60, capture_output=True)
        if len(list(db.glob("*.sst"))) < 2:
            self.skipTest("this ldb does not flush")
        failed = self.run_program("convert", "--source", f"sst:{db}", "--sink", "tsv:-")
        self.assertEqual(failed.returncode, COULD_NOT_FINISH, failed.stdout)
        self.assertRegex(failed.stderr, "deletions|two files")


if __name__ == "__main__":
    unittest.main()
