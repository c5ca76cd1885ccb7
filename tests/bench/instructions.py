#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the instructions a pair of the hot loops against bounds: instructions.py PROGRAM, which is built of
instructions.cpp as hosts build the library (g++ -O2).

Callgrind counts, so that a busy machine changes nothing. It knows neither SHA extensions nor AVX-512: SHA-256 is left
out, and all else runs as on a machine with AVX2. Ends with 77 on one that has none, where other loops would run.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# Instructions a pair, measured with g++ 12. A change that makes one cheaper lowers it here.
MEASURED = {
    "table_a": 279.5,
    "table_d": 212.8,
    "filter_d": 364.1,  # table_d and a bloom filter of 10 bits
    "crc64_a": 145.0,
    "crc64_d": 96.0,
    "decode_a": 264.3,
    "decode_d": 200.6,
}
ALLOWED = 1.10  # times what was measured


def count(program):
    """The pairs of each set, and the instructions of each function of instructions.cpp."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "callgrind"
        run = subprocess.run(["valgrind", "--tool=callgrind", "--toggle-collect=measured_*",
                              f"--callgrind-out-file={out}", program], capture_output=True, text=True)
        if run.returncode != 0:
            sys.exit(f"instructions.py: valgrind ended with {run.returncode}:\n{run.stderr}")
        report = subprocess.run(["callgrind_annotate", "--inclusive=yes", "--auto=no", "--threshold=100", out],
                                check=True, stdout=subprocess.PIPE, text=True).stdout
    pairs = {name: int(number) for name, number in (line.split() for line in run.stdout.splitlines())}
    found = re.findall(r"^ *([\d,]+) [^>\n]*:measured_(\w+)[(\[]", report, re.MULTILINE)
    return pairs, {name: int(number.replace(",", "")) for number, name in found}


def main():
    if shutil.which("valgrind") is None:
        sys.exit("instructions.py: there is no valgrind to count with; scripts/deps.sh installs it")
    cpu = pathlib.Path("/proc/cpuinfo")
    if not cpu.exists() or " avx2 " not in cpu.read_text():
        print("instructions.py: not measured, this machine has no AVX2")
        sys.exit(77)
    pairs, instructions = count(sys.argv[1])
    too_many = []
    for name, measured in MEASURED.items():
        if name not in instructions:
            sys.exit(f"instructions.py: callgrind does not tell of measured_{name}")
        now = instructions[name] / pairs[name[-1]]
        print(f"{name:<10}{now:>8.1f} instructions a pair, at most {measured * ALLOWED:.1f}")
        if now > measured * ALLOWED:
            too_many.append(name)
    if too_many:
        sys.exit(f"instructions.py: too many instructions: {', '.join(too_many)}")


if __name__ == "__main__":
    main()
