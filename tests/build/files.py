#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks every source file of the repository: the licence line, the length, the end of lines.

    files.py TOP
"""
import pathlib
import sys

ROOMS = ("include", "tools", "tests", "examples", "cmake", "scripts", "proto", "single_include", ".ci")
KINDS = {".hpp", ".cpp", ".py", ".sh", ".bash", ".cmake", ".proto"}
LICENCE = "SPDX-License-Identifier: Apache-2.0"
LONGEST = 600
GENERATED = "single_include/kvbackup/kvbackup.hpp"


def sources(top):
    yield top / "CMakeLists.txt"
    for room in ROOMS:
        for path in sorted((top / room).rglob("*")):
            named = path.name == "CMakeLists.txt" or (room == ".ci" and path.is_file())
            if named or path.suffix in KINDS:
                yield path


def problems_of(path, name):
    lines = path.read_text(encoding="utf-8").split("\n")
    first = lines[1] if lines[0].startswith("#!") else lines[0]
    if LICENCE not in first:
        yield f"the first line (or the second, after #!) must hold {LICENCE}"
    if len(lines) - 1 > LONGEST and name != GENERATED:
        yield f"{len(lines) - 1} lines, more than {LONGEST}: is it two files?"
    if lines[-1] != "":
        yield "the last line does not end"
    if path.suffix == ".hpp" and "#pragma once" not in lines and name != GENERATED:
        yield "no #pragma once"
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            yield f"line {number} ends in white space"


def main(top):
    found = []
    for path in sources(top):
        name = path.relative_to(top).as_posix()
        found += [f"{name}: {text}" for text in problems_of(path, name)]
    print(*found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
