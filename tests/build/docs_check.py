#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What README.md and docs/ show is true: their blocks are compiled, run or parsed.

    docs_check.py --top TOP text
    docs_check.py --top TOP cpp --compiler CXX --work FOLDER
    docs_check.py --top TOP shell --program KVBACKUP

text    links and headings they name are there; JSON, YAML and unit files parse; shell has no syntax error; the
        error texts of troubleshooting.md are those of the sources
cpp     each C++ block is compiled; those with a main() are run, and end with 0
shell   the blocks of a page are run in their order, in an empty folder of its own

A line `<!-- not run: REASON -->` before a block of shell leaves it to `text`. A C++ block without a main() is the body of a
function that has the names of CONTEXT.
"""
import argparse
import configparser
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

LONGEST_RUN = 600  # seconds; a busy machine takes its time
BLOCK = re.compile(r"^(?P<mark><!--[^\n]*-->\n)?```(?P<kind>\w*)\n(?P<text>.*?)^```", re.S | re.M)

# what the fragments of README.md leave to their reader
CONTEXT = """
#include <map>
#include <string>

#include <kvbackup/kvbackup.hpp>

void fragment(std::map<std::string, std::string> copy) {
%s
}
"""


class Block:
    def __init__(self, page, match):
        self.page = page
        self.kind = match["kind"]
        self.text = match["text"]
        self.line = page.read_text("utf-8").count("\n", 0, match.start("kind")) + 1
        self.run = not (match["mark"] or "").startswith("<!-- not run:")

    @property
    def place(self):
        return f"{self.page.name}:{self.line}"


def pages(top):
    return [top / "README.md", *sorted((top / "docs").glob("*.md"))]


def blocks(top, kind):
    for page in pages(top):
        for match in BLOCK.finditer(page.read_text("utf-8")):
            if match["kind"] == kind:
                yield Block(page, match)


def run(command, **options):
    return subprocess.run(command, text=True, capture_output=True, timeout=LONGEST_RUN, check=False, **options)


# --- text ---------------------------------------------------------------------------------------

def anchors(page):
    """The names that GitHub gives to headings."""
    text = BLOCK.sub("", page.read_text("utf-8"))
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def broken_links(top):
    for page in pages(top):
        text = BLOCK.sub("", page.read_text("utf-8"))
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if "://" in target:
                continue
            path, _, anchor = target.partition("#")
            linked = page.parent / path if path else page
            if not linked.exists():
                yield f"{page.name}: the link {target} leads nowhere"
            elif anchor and linked.suffix == ".md" and anchor not in anchors(linked):
                yield f"{page.name}: {target}: there is no such heading"


def parse_yaml(text):
    try:
        import yaml
    except ImportError:  # this Python may not be the system's
        return run(["/usr/bin/python3", "-c", "import sys, yaml; yaml.safe_load(sys.stdin)"], input=text).stderr
    yaml.safe_load(text)
    return ""


def parse_unit(text):
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string(text)
    return "" if parser.sections() else "no sections"


def unparsed(top):
    parsers = {"json": lambda text: json.loads(text) and "", "yaml": parse_yaml, "ini": parse_unit,
               "sh": lambda text: run(["bash", "-n"], input=text).stderr}
    for kind, parse in parsers.items():
        for block in blocks(top, kind):
            try:
                problem = parse(block.text)
            except Exception as error:  # whatever a parser raises
                problem = str(error)
            if problem:
                yield f"{block.place}: {kind}: {problem.strip()}"


def texts_that_nothing_prints(top):
    sources = ""
    for room in ("include", "tools"):
        for path in sorted((top / room).rglob("*pp")):
            sources += re.sub(r'"\s*\n\s*"', "", path.read_text("utf-8")).replace('\\"', '"')
    page = top / "docs/troubleshooting.md"
    for text in re.findall(r"^### `(.*)`$", page.read_text("utf-8"), re.M):
        if text not in sources:
            yield f"{page.name}: nothing prints {text!r}"


def quick_start_differs(top):
    first = next(blocks(top, "cpp"))
    if first.text not in (top / "examples/quick_start.cpp").read_text("utf-8"):
        yield f"{first.place}: the block is not in examples/quick_start.cpp as it stands"


def unmarked(top):
    known = {"cpp", "sh", "json", "yaml", "ini", "text"}
    for page in pages(top):
        for match in BLOCK.finditer(page.read_text("utf-8")):
            if match["kind"] not in known:
                yield f"{Block(page, match).place}: a block of the kind {match['kind']!r} is not checked"


def check_text(arguments):
    for check in (broken_links, unparsed, texts_that_nothing_prints, quick_start_differs, unmarked):
        yield from check(arguments.top)


# --- cpp ----------------------------------------------------------------------------------------

def check_cpp(arguments):
    work = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    include = arguments.top / "include"
    flags = ["-std=c++20", "-O0", "-Wall", "-Wextra", *[f"-D{name}" for name in arguments.define]]
    # most of what a block costs to compile is the library: once for all of them
    (work / "kvbackup").mkdir(exist_ok=True)
    header = work / "kvbackup/kvbackup.hpp"
    header.write_text(f'#include "{include / "kvbackup/kvbackup.hpp"}"\n')
    flags += [f"-I{work}", f"-I{include}"]
    precompiled = run([arguments.compiler, *flags, "-w", "-x", "c++-header", header, "-o", f"{header}.gch"])
    if precompiled.returncode != 0:
        yield precompiled.stderr
        return
    for block in blocks(arguments.top, "cpp"):
        whole = "int main(" in block.text
        source = work / f"{block.page.stem}_{block.line}.cpp"
        source.write_text(block.text if whole else CONTEXT % block.text)
        program = source.with_suffix("")
        how = ["-o", program, *[f"-l{name}" for name in arguments.library]] if whole else ["-fsyntax-only", "-w"]
        compiled = run([arguments.compiler, *flags, source, *how])
        if compiled.returncode != 0:
            yield f"{block.place}: {compiled.stderr}"
        elif whole:
            with tempfile.TemporaryDirectory(prefix="kvbackup-docs-") as folder:
                ran = run([program], cwd=folder)
            if ran.returncode != 0:
                yield f"{block.place}: ended with {ran.returncode}: {ran.stdout}{ran.stderr}"


# --- shell --------------------------------------------------------------------------------------

def check_shell(arguments):
    environment = {**os.environ, "PATH": f"{arguments.program.parent}:{os.environ['PATH']}", "LC_ALL": "C"}
    for page in pages(arguments.top):
        with tempfile.TemporaryDirectory(prefix="kvbackup-docs-") as folder:
            for block in blocks(arguments.top, "sh"):
                if block.page != page or not block.run:
                    continue
                ran = run(["bash", "-euo", "pipefail", "-c", block.text], cwd=folder, env=environment)
                if ran.returncode != 0:
                    yield f"{block.place}: ended with {ran.returncode}:\n{block.text}{ran.stdout}{ran.stderr}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--top", type=pathlib.Path, required=True)
    parser.add_argument("what", choices=("text", "cpp", "shell"))
    parser.add_argument("--compiler")
    parser.add_argument("--work", type=pathlib.Path)
    parser.add_argument("--define", action="append", default=[])
    parser.add_argument("--library", action="append", default=[])
    parser.add_argument("--program", type=pathlib.Path)
    arguments = parser.parse_args()
    arguments.top = arguments.top.resolve()
    check = {"text": check_text, "cpp": check_cpp, "shell": check_shell}[arguments.what]
    found = list(check(arguments))
    print(*found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
