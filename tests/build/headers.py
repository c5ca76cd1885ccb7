#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles each header alone, so that what it uses and does not include is not found.

    headers.py --include DIR --compiler CXX --settings none|all [--define M=1 ...] --work DIR

--settings none  every KVBACKUP_WITH_* 0, without exceptions and RTTI; ext/ is left out
--settings all   the macros given with --define: the headers that a macro decides something in, the
                 rest being what it is under `none`, and ext/
--work           a folder for what is compiled once for all of them; it is emptied

A unit for each header would compile the lowest of them two hundred times. Clang does not have to:

none  Each header is a module of its own, compiled once, and sees only what it includes, for a name
      of a module that is not imported is an error. The standard library is one module, and so more
      visible than it should be: std_includes.py looks after that. A header that is refused as a
      module is compiled alone, and that decides. Then headers that lack an include are planted,
      which must be refused.
all   The standard library is compiled once for all, and the umbrella header for those of ext/ and
      testing/, which include it.

Other compilers get a unit for each header.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys

import std_includes

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]
NONE = ["-fno-exceptions", "-fno-rtti", "-DKVBACKUP_WITH_THREADS=0", "-DKVBACKUP_WITH_POSIX=0"]
UMBRELLA = "kvbackup/kvbackup.hpp"
# Instantiated with the standard library: clang 14 cannot merge what two modules instantiate of a
# pair of strings.
INSTANTIATED = ("std::pair<std::string, std::string>", "std::pair<const std::string, std::string>")

# (a header, what the compiler misses in it; nothing where it is in order)
PLANTS = [
    ('#include "kvbackup/base/bytes.hpp"\nnamespace kvbackup { Status planted(ByteView); }', "Status"),
    ('#include "kvbackup/base/key_range.hpp"\nnamespace kvbackup {\n'
     "inline auto planted(const KeyRange& range) { return intersection(range, range); }\n}",
     "intersection"),
    ('#include "kvbackup/version.hpp"\ninline void planted() { KVBACKUP_ASSERT(true); }',
     "KVBACKUP_ASSERT"),
    ('#include "kvbackup/base/key_ranges.hpp"\nnamespace kvbackup {\n'
     "inline auto planted(const KeyRange& range) { return intersection(range, range); }\n}", ""),
]


class Compiler:
    def __init__(self, arguments):
        self.root = arguments.include[0].resolve()
        self.work = arguments.work.resolve()
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        self.command = [arguments.compiler, "-std=c++20", "-x", "c++", *WARNINGS, f"-I{self.root}"]
        self.command += [word for folder in arguments.include[1:] for word in ("-isystem", str(folder))]
        self.command += NONE if arguments.settings == "none" else [f"-D{m}" for m in arguments.define]
        said = subprocess.run([arguments.compiler, "--version"], capture_output=True, text=True, check=True)
        self.is_clang = "clang" in said.stdout

    def run(self, *more, text=None):
        """Empty, or what the compiler said when it refused."""
        result = subprocess.run([*self.command, *map(str, more)], input=text, text=True,
                                capture_output=True, check=False)
        return "" if result.returncode == 0 else result.stderr or "refused"

    def alone(self, name, *more):
        return self.run("-fsyntax-only", *more, "-", text=f"#include <{name}>\n")

    def precompile(self, stem, text, *more):
        header = self.work / f"{stem}.hpp"
        header.write_text("#pragma once\n" + text)
        failure = self.run("-x", "c++-header", *more, header, "-o", self.work / f"{stem}.pch")
        if failure:
            raise SystemExit(f"{stem} does not compile:\n{failure}")
        return ["-include-pch", self.work / f"{stem}.pch"]


class Modules:
    """Each header of `tree` as a module of clang."""

    def __init__(self, compiler, tree, standard):
        self.compiler = compiler
        self.texts = tree.texts
        self.built = {}  # header: arguments with which others import it
        self.reached = {}
        self.flags = ["-fmodules", "-fno-implicit-modules", "-fno-implicit-module-maps",
                      "-Xclang", "-emit-module"]
        self.standard = self.build_standard(standard)

    def module_map(self, name, attribute, paths):
        path = self.compiler.work / f"{name}.modulemap"
        headers = "\n".join(f'  header "{header}"' for header in paths)
        path.write_text(f"module {name} {attribute} {{\n{headers}\n  export *\n}}\n")
        return path

    def build(self, name, paths, imported, attribute=""):
        """The failure, and the arguments with which others import it."""
        written = self.module_map(name, attribute, paths)
        output = self.compiler.work / f"{name}.pcm"
        failure = self.compiler.run(*self.flags, *imported, f"-fmodule-name={name}", "-c", written,
                                    "-o", output)
        return failure, [f"-fmodule-map-file={written}", f"-fmodule-file={name}={output}"]

    def build_standard(self, headers):
        text = "".join(f"#include <{header}>\n" for header in headers)
        listed = subprocess.run([*self.compiler.command, "-M", "-"], input=text, text=True,
                                capture_output=True, check=True).stdout.split()
        paths = [min((path for path in listed if path.endswith(f"/{header}")), key=len)
                 for header in headers]
        instantiating = self.compiler.work / "instantiating.hpp"
        instantiating.write_text("#pragma once\n#include <string>\n#include <utility>\n" +
                                 "".join(f"static_assert(sizeof({name}) > 0);\n" for name in INSTANTIATED))
        failure, imported = self.build("standard", [*paths, instantiating], [], "[system]")
        if failure:
            raise SystemExit(f"the standard library is no module:\n{failure}")
        return imported

    def reach(self, text):
        """Our headers that `text` includes, at any depth."""
        found = set()
        for target in std_includes.includes_of(text):
            if target in self.texts:
                if target not in self.reached:
                    self.reached[target] = self.reach(self.texts[target])
                found |= {target} | self.reached[target]
        return found

    def imports(self, text):
        reached = sorted(self.reach(text))
        return self.standard + [word for name in reached for word in self.built.get(name, [])]

    def add(self, name):
        """Compiles the header `name`, all that it includes being added already."""
        module = re.sub(r"\W", "_", name)
        failure, imported = self.build(module, [self.compiler.root / name], self.imports(self.texts[name]))
        if not failure:
            self.built[name] = imported
            return ""
        return self.compiler.alone(name)

    def problems_of_plants(self):
        for number, (text, missing) in enumerate(PLANTS):
            planted = self.compiler.work / f"planted_{number}.hpp"
            planted.write_text(f"#pragma once\n{text}\n")
            said, _ = self.build(f"planted_{number}", [planted], self.imports(text))
            if not re.search(rf"error: .*\b{missing}\b", said) if missing else said:
                yield f"planted, without what it should say of {missing or 'nothing'}:\n{text}\n{said}"


def in_turns(work, names, needs):
    """Calls work(name) for every name, after those of needs(name), on all processors."""
    results = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting, running = {name: needs(name) for name in names}, {}
        while waiting or running:
            for name, needed in list(waiting.items()):
                if needed <= results.keys():
                    running[pool.submit(work, name)] = name
                    del waiting[name]
            if not running:
                raise SystemExit(f"headers that include each other: {' '.join(sorted(waiting))}")
            done, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                results[running.pop(future)] = future.result()
    return results


def compile_as_modules(compiler, tree, standard):
    tree.texts = {name: text for name, text in tree.texts.items() if not name.startswith("kvbackup/ext/")}
    modules = Modules(compiler, tree, standard)
    results = in_turns(modules.add, tree.texts, lambda name: modules.reach(tree.texts[name]))
    print(f"{len(modules.built)} of {len(tree.texts)} headers compiled as modules, the others alone")
    return results, list(modules.problems_of_plants())


def compile_alone(compiler, tree, names, standard):
    prefix, umbrella = [], []
    if compiler.is_clang:
        prefix = compiler.precompile("standard", "".join(f"#include <{h}>\n" for h in standard))
        if any(UMBRELLA in tree.reach(name) for name in names):
            umbrella = compiler.precompile("umbrella", f"#include <{UMBRELLA}>\n", *prefix)

    def compile_one(name):
        return compiler.alone(name, *(umbrella if UMBRELLA in tree.reach(name) else prefix))

    return in_turns(compile_one, names, lambda name: set())


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--include", action="append", required=True, type=pathlib.Path)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--settings", required=True, choices=("none", "all"))
    parser.add_argument("--define", action="append", default=[])
    parser.add_argument("--work", required=True, type=pathlib.Path)
    arguments = parser.parse_args()

    compiler = Compiler(arguments)
    tree = std_includes.Tree(arguments.include[0])
    standard = sorted({target for text in tree.texts.values() for target in std_includes.includes_of(text)
                       if std_includes.GIVES.get(target)})
    missed = []
    if arguments.settings == "all":
        names = [name for name, text in tree.texts.items()
                 if name.startswith("kvbackup/ext/") or "KVBACKUP_WITH_" in text]
        results = compile_alone(compiler, tree, names, standard)
    elif compiler.is_clang:
        results, missed = compile_as_modules(compiler, tree, standard)
    else:
        names = [name for name in tree.texts if not name.startswith("kvbackup/ext/")]
        results = compile_alone(compiler, tree, names, standard)

    failures = [f"{name} does not compile alone:\n{said}" for name, said in results.items() if said]
    print(*failures, *missed, sep="\n")
    print(f"{len(results)} headers, {len(failures)} do not compile alone: {' '.join(compiler.command)}")
    return 1 if failures or missed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
