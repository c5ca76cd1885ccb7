#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""amalgamate.py refuses what would change meaning in one file; the two forms refuse each other.

    amalgamate_test.py TOP COMPILER
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

# (header, lines put in behind its #pragma once, words of the refusal)
PLANTS = [
    ("sst/concept.hpp", '#if 1\n#include "kvbackup/base/hex.hpp"\n#endif', "inside #if"),
    ("sst/concept.hpp", "#include <kvbackup/base/hex.hpp>", "an own include is spelled"),
    ("sst/concept.hpp", "#include <unistd.h>", "belongs inside #if"),
    ("sst/concept.hpp", '#include "kvbackup/sst/nowhere.hpp"', "does not exist"),
    ("sst/concept.hpp", '#include "kvbackup/ext/lmdb.hpp"', "by its users only"),
    ("version.hpp", "#if 1", "without its #endif"),
    ("sst/unreached.hpp", "", "does not reach it"),
]
BOTH = [
    '#include "{tree}/kvbackup/kvbackup.hpp"\n#include "{single}/kvbackup/kvbackup.hpp"\n',
    '#include "{single}/kvbackup/kvbackup.hpp"\n#include "{tree}/kvbackup/kvbackup.hpp"\n',
]


def main(top, compiler):
    top = pathlib.Path(top)
    tool = top / "single_include/amalgamate.py"
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        output = pathlib.Path(folder) / "out/kvbackup.hpp"
        for number, (header, planted, words) in enumerate(PLANTS):
            copy = pathlib.Path(folder) / str(number)
            shutil.copytree(top / "include", copy)
            path = copy / "kvbackup" / header
            text = path.read_text("utf-8") if path.exists() else (
                "// SPDX-License-Identifier: Apache-2.0\n#pragma once\n")
            path.write_text(text.replace("#pragma once\n", f"#pragma once\n{planted}\n", 1), "utf-8")
            run = subprocess.run([tool, "--include-dir", copy, "--output", output],
                                 capture_output=True, text=True, check=False)
            if run.returncode == 0 or words not in run.stderr or output.exists():
                missed.append(f"planted in {header}, not refused: {planted}\n{run.stderr}")
    for unit in BOTH:
        text = unit.format(tree=top / "include", single=top / "single_include")
        run = subprocess.run([compiler, "-std=c++20", "-E", "-o", "/dev/null",
                              f"-I{top / 'include'}", "-x", "c++", "-"],
                             input=text, capture_output=True, text=True, check=False)
        if run.returncode == 0 or "take one form, not both" not in run.stderr:
            missed.append(f"compiles, or fails for another reason:\n{text}{run.stderr}")
    print(*missed, sep="\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
