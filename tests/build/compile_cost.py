#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds what the library costs to compile against bounds: compile_cost.py --compiler G++ --top FOLDER.

The cost is what g++ allocates while it parses and instantiates (-ftime-report): the same in every run on every
machine, and near proportional to its instructions, as a multiple of what the system headers that the single header
includes cost alone.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

# Multiples of the cost of the system headers alone, measured with g++ 12; the library without its components.
MEASURED = {
    "single header": 4.55,
    "table writer": 1.07,
}
ALLOWED = 1.10  # times what was measured
UNIT_SIZES = {"k": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def compile_unit(compiler, include, source, *flags):
    command = [compiler, "-std=c++20", "-fsyntax-only", "-I", include, *flags, source]
    run = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if run.returncode != 0:
        sys.exit(f"compile_cost.py: {source} does not compile:\n{run.stderr}")
    return run.stderr


def cost(compiler, include, source):
    """MiB that the compiler allocates."""
    report = compile_unit(compiler, include, source, "-ftime-report")
    total = re.search(r"^ *TOTAL\b.* (\d+)([kMG]) *$", report, re.MULTILINE)
    if total is None:
        sys.exit(f"compile_cost.py: {compiler} -ftime-report does not tell what was allocated")
    return int(total[1]) * UNIT_SIZES[total[2]] / (1 << 20)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--top", type=lambda text: pathlib.Path(text).resolve(), required=True)
    args = parser.parse_args()
    include = args.top / "include"
    single = args.top / "single_include/kvbackup/kvbackup.hpp"
    with tempfile.TemporaryDirectory() as folder:
        def unit(name, headers):
            path = pathlib.Path(folder) / f"{name}.cpp"
            path.write_text("".join(f'#include "{header}"\n' for header in headers))
            return path

        whole = unit("whole", [single])
        # two dots: included by what the unit includes
        used = re.findall(r"^\.\. (.*)$", compile_unit(args.compiler, include, whole, "-H"), re.MULTILINE)
        system = cost(args.compiler, include, unit("system", used))
        units = {
            "single header": whole,
            "table writer": unit("writer", ["kvbackup/sst/table_writer.hpp", "kvbackup/sst/checksum.hpp",
                                            "kvbackup/codec/none.hpp"]),
        }
        print(f"{len(used)} system headers: {system:.0f} MiB allocated")
        too_much = []
        for name, source in units.items():
            now = cost(args.compiler, include, source) / system
            most = MEASURED[name] * ALLOWED
            print(f"{name:<14}{now:6.2f} times that, at most {most:.2f}")
            if now > most:
                too_much.append(name)
    if too_much:
        sys.exit(f"compile_cost.py: costs too much to compile: {', '.join(too_much)}")


if __name__ == "__main__":
    main()
