#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles each header alone, in a unit that holds nothing else.

    headers.py --include DIR --compiler g++ --settings none|all [--define M=1 ...]

--settings none  every KVBACKUP_WITH_* 0, without exceptions and RTTI; ext/ is left out
--settings all   the macros given with --define: the headers that a macro decides something in, the
                 rest being what it is under `none`, and ext/
"""
import argparse
import concurrent.futures
import os
import pathlib
import subprocess
import sys

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]
NONE = ["-fno-exceptions", "-fno-rtti", "-DKVBACKUP_WITH_THREADS=0", "-DKVBACKUP_WITH_POSIX=0"]


def chosen(root, arguments):
    for path in sorted((root / "kvbackup").rglob("*.hpp")):
        name = path.relative_to(root).as_posix()
        is_glue = name.startswith("kvbackup/ext/")
        if arguments.settings == "none":
            if is_glue:
                continue
        elif not is_glue and "KVBACKUP_WITH_" not in path.read_text():
            continue
        yield name


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--include", action="append", required=True, type=pathlib.Path)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--settings", required=True, choices=("none", "all"))
    parser.add_argument("--define", action="append", default=[])
    arguments = parser.parse_args()

    command = [arguments.compiler, "-std=c++20", "-fsyntax-only", "-x", "c++", *WARNINGS]
    command += [f"-I{arguments.include[0]}"]
    command += [word for folder in arguments.include[1:] for word in ("-isystem", str(folder))]
    command += NONE if arguments.settings == "none" else [f"-D{m}" for m in arguments.define]
    command += ["-"]

    def compile_alone(name):
        result = subprocess.run(command, input=f"#include <{name}>\n", text=True,
                                capture_output=True, check=False)
        return "" if result.returncode == 0 else f"{name} does not compile alone:\n{result.stderr}"

    names = list(chosen(arguments.include[0], arguments))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        failures = [text for text in pool.map(compile_alone, names) if text]
    print(*failures, sep="\n", end="")
    print(f"{len(names)} headers, {len(failures)} do not compile alone: {' '.join(command)}")
    return 1 if failures or not names else 0


if __name__ == "__main__":
    sys.exit(main())
