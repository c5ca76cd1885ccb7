#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The first ```cpp block of the README stands, line for line, in the quick start example.

    readme_check.py README.md examples/quick_start.cpp
"""
import pathlib
import re
import sys


def main(readme, example):
    block = re.search(r"^```cpp\n(.*?)^```", pathlib.Path(readme).read_text("utf-8"), re.S | re.M)
    if not block:
        print(f"{readme} has no ```cpp block")
        return 1
    if block.group(1) not in pathlib.Path(example).read_text("utf-8"):
        print(f"the first ```cpp block of {readme} is not in {example} as it stands")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
