# SPDX-License-Identifier: Apache-2.0
"""Help that fits a screen, answers to wrong usage, the manual page, completion."""
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import unittest

PROGRAM = os.environ["KVBACKUP"]
TOP = pathlib.Path(__file__).resolve().parents[3]
SCREEN_LINES, SCREEN_COLUMNS = 40, 80
WRONG_USAGE = 2

spec = importlib.util.spec_from_file_location("man", TOP / "tools/kvbackup/man.py")
man = importlib.util.module_from_spec(spec)
spec.loader.exec_module(man)


def run(*arguments):
    return subprocess.run([PROGRAM, *arguments], text=True, capture_output=True, timeout=60, check=False)


def commands():
    return [name for name, _ in man.commands_of(PROGRAM)]


def flags_of(command):
    names = [names for _, flags in man.flags_of(PROGRAM, command) for names, _ in flags]
    return {flag for text in names for flag in re.findall(r"--[\w.-]+", text)}


class HelpTest(unittest.TestCase):
    def test_the_help_of_every_command_fits_a_screen(self):
        self.assertIn("backup", commands())
        for command in [[], *([name] for name in commands())]:
            with self.subTest(command=command):
                result = run(*command, "--help")
                self.assertEqual(result.returncode, 0, result.stderr)
                lines = result.stdout.splitlines()
                self.assertLessEqual(len(lines), SCREEN_LINES)
                self.assertLessEqual(max(map(len, lines)), SCREEN_COLUMNS)

    def test_numbers_have_a_default_or_are_for_what_is_not_done_without_them(self):
        without = {"--to-version", "--compression-level", "--gc-safe-point", "--backupts", "--lastbackupts"}
        for command in commands():
            for _, flags in man.flags_of(PROGRAM, command):
                for names, text in flags:
                    if names.endswith(" N") and not without & set(names.split()):
                        self.assertRegex(text, r"default|required|0 = ", f"{command} {names}")

    def test_limits_of_speed_name_their_unit(self):
        for command in ("backup", "restore", "request"):
            text = " ".join(run(command, "--help").stdout.split())
            self.assertRegex(text, r"--ratelimit N [^-]*MiB[^-]* a second")

    def test_help_all_has_what_help_leaves_out(self):
        short, whole = run("backup", "--help").stdout, run("backup", "--help-all").stdout
        for flag in ("--s3.endpoint", "--gcs.credentials-file", "--log-file", "--metrics-file"):
            self.assertNotIn(flag + " ", short)
            self.assertIn(flag + " ", whole)


class WrongUsageTest(unittest.TestCase):
    def answer(self, *arguments):
        result = run(*arguments)
        self.assertEqual(result.returncode, WRONG_USAGE, result)
        self.assertEqual(result.stdout, "")
        return result.stderr

    def test_a_misspelt_flag_is_answered_with_the_right_one(self):
        for flag, meant in (("--sorce", "--source"), ("--strage", "--storage"), ("--compresion", "--compression"),
                            ("--rate-limit", "--ratelimit"), ("--verify", "--verify-after"), ("--dryrun", "--dry-run"),
                            ("--s3.endpiont", "--s3.endpoint"), ("--Concurrency", "--concurrency")):
            self.assertIn(f"has no flag {flag}; did you mean {meant}?", self.answer("backup", flag, "x"))
        self.assertIn("did you mean --source?", self.answer("backup", "--sorce=tsv:x", "-s", "y"))

    def test_the_flag_of_another_command_or_program_is_answered_with_the_one_here(self):
        self.assertIn("did you mean --storage?", self.answer("backup", "--sink", "x"))
        self.assertIn("did you mean --storage?", self.answer("restore", "--source", "x", "--sink", "lmdb:y"))
        self.assertIn("did you mean --replace?", self.answer("restore", "--force"))
        self.assertIn("did you mean --concurrency?", self.answer("verify", "--jobs", "3"))

    def test_a_flag_like_no_other_is_answered_without_a_guess(self):
        answer = self.answer("list", "--frobnicate")
        self.assertIn("list has no flag --frobnicate\n", answer)
        self.assertIn("kvbackup list --help says more", answer)

    def test_commands(self):
        self.assertIn("there is no command bakcup; did you mean backup?", self.answer("bakcup"))
        self.assertIn("there is no command zzz\n", self.answer("zzz"))
        self.assertIn("name a command", self.answer())

    def test_values_that_look_like_flags_are_none(self):
        self.assertNotIn("has no flag", self.answer("backup", "--compression-level", "-50"))

    def test_what_is_missing_is_named(self):
        self.assertIn("--source is required", self.answer("backup", "-s", "x"))
        self.assertIn("--storage is required", self.answer("verify"))

    def test_json_has_the_same_answer(self):
        result = run("backup", "--sorce", "x", "--json")
        self.assertEqual(result.returncode, WRONG_USAGE)
        self.assertIn("did you mean --source?", result.stdout)


class ManualTest(unittest.TestCase):
    def test_the_page_is_what_the_program_says(self):
        committed = (TOP / "docs/kvbackup.1").read_text("utf-8")
        self.assertEqual(committed, man.page(PROGRAM), "run: tools/kvbackup/man.py KVBACKUP > docs/kvbackup.1")

    def test_every_command_and_flag_is_in_it(self):
        page = (TOP / "docs/kvbackup.1").read_text("utf-8").replace("\\-", "-")
        for command in commands():
            self.assertIn(f".SS {command}\n", page)
            for flag in flags_of(command):
                self.assertRegex(page, re.escape(flag) + r"\b")

    @unittest.skipUnless(shutil.which("groff"), "groff is not installed")
    def test_it_has_no_errors(self):
        result = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", TOP / "docs/kvbackup.1"], text=True,
                                capture_output=True, timeout=60, check=False)
        self.assertEqual((result.returncode, result.stderr), (0, ""))


class CompletionTest(unittest.TestCase):
    def completed(self, *words):
        """What bash offers for the last of the words."""
        script = f"source {TOP}/tools/kvbackup/completion/kvbackup.bash\n" \
                 "COMP_WORDS=(\"$@\") COMP_CWORD=$(($# - 1)) COMP_LINE=\"$*\" COMP_POINT=${#COMP_LINE}\n" \
                 "_kvbackup; printf '%s\\n' \"${COMPREPLY[@]}\""
        result = subprocess.run(["bash", "--norc", "-c", script, "bash", PROGRAM, *words], text=True,
                                capture_output=True, timeout=60, check=False)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return set(result.stdout.split())

    def test_commands(self):
        self.assertEqual(self.completed(""), {*commands(), "--help", "--version"})
        self.assertEqual(self.completed("ver"), {"verify"})

    def test_every_flag_of_every_command(self):
        for command in commands():
            self.assertEqual(self.completed(command, "--"), flags_of(command) | {"--help", "--help-all"})
        self.assertEqual(self.completed("backup", "--verify"), {"--verify-after"})

    def test_values(self):
        self.assertEqual(self.completed("backup", "--compression", "z"), {"zstd"})
        self.assertEqual(self.completed("backup", "--source", "l"), {"lmdb:", "leveldb:"})


if __name__ == "__main__":
    unittest.main()
