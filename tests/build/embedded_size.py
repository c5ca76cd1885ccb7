#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds examples/embedded.cpp as for a small device: how large it is, and what heap it needs.

    embedded_size.py --top DIR --compiler CXX --work DIR           the guard
    embedded_size.py --top DIR --compiler CXX --work DIR --table   a table of what policies add

Sizes are .text and .rodata of the linked program less those of an empty one, at -Os, libstdc++
being shared. The limit holds on x86-64; elsewhere the size is only shown.
"""
import argparse
import pathlib
import platform
import subprocess
import sys

LIMIT = 60 * 1024  # bytes
SMALL = ["-std=c++20", "-Os", "-DNDEBUG", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections",
         "-fno-exceptions", "-fno-rtti", "-DKVBACKUP_WITH_THREADS=0"]
BARE = ["-DKVBACKUP_WITH_POSIX=0", "-DKVBACKUP_WITH_FAST_HASHES=0"]
# (what is built, part of units/policies.cpp, flags)
ROWS = [
    ("`TableWriter`, `NoneCodec`, CRC-32C", "TABLE", BARE),
    ("the same, processor's instructions and large tables for CRC-32C", "TABLE", BARE[:1]),
    ("`BackupPipeline`, `PortableSha256`, `NoopBackend`", "PIPELINE", BARE),
    ("the same, `KVBACKUP_WITH_FAST_HASHES=1`", "PIPELINE", BARE[:1]),
    ("the same, `LocalBackend`", "LOCAL", []),
    ("the same, `LocalBackend`, `Lz4Codec`", "LZ4", ["-DKVBACKUP_WITH_LZ4=1", "-llz4"]),
    ("`Backup<LocalBackend>`: `open`, `verify`, `get`", "READ", []),
]


def run(command, status=0):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if result.returncode != status:
        raise SystemExit(f"{' '.join(map(str, command))}: {result.returncode}, not {status}\n"
                         f"{result.stdout}{result.stderr}")
    return result.stdout


class Programs:
    def __init__(self, arguments):
        self.top, self.compiler, self.work = arguments.top, arguments.compiler, arguments.work
        self.work.mkdir(parents=True, exist_ok=True)
        nothing = self.work / "empty.cpp"
        nothing.write_text("int main() {}\n")
        self.empty = self.sections(self.build("empty", nothing, SMALL))

    def build(self, name, source, flags):
        program = self.work / name
        # libraries stand behind what needs them
        run([self.compiler, f"-I{self.top / 'include'}", source, *flags, "-o", program])
        return program

    def sections(self, program):
        lines = [line.split() for line in run(["size", "-A", program]).splitlines()]
        return sum(int(words[1]) for words in lines if words and words[0] in (".text", ".rodata"))

    def size(self, program):
        return self.sections(program) - self.empty


def guard(programs):
    source = programs.top / "examples/embedded.cpp"
    program = programs.build("embedded", source, [*SMALL, *BARE, "-Wall", "-Wextra", "-Werror"])
    size = programs.size(program)
    print(f"{size} bytes of .text and .rodata; the limit is {LIMIT}")
    said = run([program])
    print(said, end="")
    if "backupmeta is whole" not in said:
        raise SystemExit("the backup is not whole")
    # A heap that is too small ends the program, and the backup is none.
    if "backupmeta is whole" in run([program, 32 * 1024], status=3):
        raise SystemExit("a backup was whole without heap")
    return 1 if platform.machine() == "x86_64" and size > LIMIT else 0


def table(programs):
    embedded = programs.build("embedded", programs.top / "examples/embedded.cpp", [*SMALL, *BARE])
    print("| built | KiB |\n|---|---|")
    print(f"| [`examples/embedded.cpp`](examples/embedded.cpp) | {programs.size(embedded) / 1024:.1f} |")
    for text, part, flags in ROWS:
        program = programs.build("policies", programs.top / "tests/build/units/policies.cpp",
                                 [*SMALL, f"-DPOLICIES_{part}=1", *flags])
        print(f"| {text} | {programs.size(program) / 1024:.1f} |", flush=True)
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("top", "work"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    return (table if arguments.table else guard)(Programs(arguments))


if __name__ == "__main__":
    sys.exit(main())
