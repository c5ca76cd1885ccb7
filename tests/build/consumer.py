#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A foreign project takes the library in one of the ways that the README names.

    consumer.py WAY --top DIR --build DIR --work DIR --cmake CMAKE --compiler CXX

WAY is install (the others but copied and add_subdirectory need it first), find_package,
add_subdirectory, pkg_config or copied.
"""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys

LINKED = "1 file, lz4 1, openssl 1, rapidjson 0, lmdb 0\n"
BARE = "1 file, lz4 0, openssl 0, rapidjson 0, lmdb 0\n"


def run(command, **options):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                            check=False, **options)
    if result.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\n{result.stdout}{result.stderr}")
    return result.stdout


def expect(printed, expected):
    if printed != expected:
        raise SystemExit(f"the consumer printed {printed!r}, not {expected!r}")


class Consumer:
    def __init__(self, arguments):
        self.top = arguments.top
        self.build = arguments.build
        self.cmake = arguments.cmake
        self.compiler = arguments.compiler
        self.prefix = arguments.work / "prefix"
        self.source = self.top / "tests/build/consumer"
        self.folder = arguments.work / arguments.way
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def configure(self, use, *more):
        return [self.cmake, "-G", "Ninja", "-S", self.source, "-B", self.folder / "build",
                f"-DCMAKE_CXX_COMPILER={self.compiler}", f"-DUSE={use}", *more]

    def build_with_cmake(self, use, *more):
        run(self.configure(use, *more))
        run([self.cmake, "--build", self.folder / "build"])
        expect(run([self.folder / "build/consumer"]), LINKED)

    def compile_by_hand(self, *flags):
        program = self.folder / "consumer"
        run([self.compiler, "-std=c++20", self.source / "main.cpp", "-o", program, *flags])
        return run([program])

    def install(self):
        shutil.rmtree(self.prefix, ignore_errors=True)
        run([self.cmake, "--install", self.build, "--prefix", self.prefix,
             "--component", "kvbackup_headers"])

    def find_package(self):
        where = f"-DCMAKE_PREFIX_PATH={self.prefix}"
        self.build_with_cmake("find_package", where)
        refused = subprocess.run([str(word) for word in self.configure("unknown_component", where)],
                                 capture_output=True, text=True, check=False)
        said = " ".join(refused.stderr.split())
        if refused.returncode == 0 or "no such component: punchcards" not in said:
            raise SystemExit(f"an unknown component is not refused by name:\n{refused.stderr}")

    def add_subdirectory(self):
        self.build_with_cmake("add_subdirectory", f"-DKVBACKUP_TOP={self.top}")

    def pkg_config(self):
        ask = ["pkg-config", "--cflags", "--libs"]
        where = dict(os.environ, PKG_CONFIG_PATH=str(self.prefix / "share/pkgconfig"))
        some = run([*ask, "kvbackup-lz4", "kvbackup-openssl"], env=where).split()
        expect(self.compile_by_hand(*some), LINKED)
        run([*ask, "kvbackup-all"], env=where)

    def copied(self):
        header = self.folder / "kvbackup/kvbackup.hpp"
        header.parent.mkdir()
        shutil.copyfile(self.top / "single_include/kvbackup/kvbackup.hpp", header)
        expect(self.compile_by_hand(f"-I{self.folder}"), BARE)
        expect(self.compile_by_hand(f"-I{self.folder}", "-DKVBACKUP_WITH_LZ4=1",
                                    "-DKVBACKUP_WITH_OPENSSL=1", "-llz4", "-lcrypto"), LINKED)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    ways = ("install", "find_package", "add_subdirectory", "pkg_config", "copied")
    parser.add_argument("way", choices=ways)
    for name in ("top", "build", "work"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    for name in ("cmake", "compiler"):
        parser.add_argument(f"--{name}", required=True)
    arguments = parser.parse_args()
    getattr(Consumer(arguments), arguments.way)()
    return 0


if __name__ == "__main__":
    sys.exit(main())
