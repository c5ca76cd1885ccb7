#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads the includes of include/kvbackup and reports every edge that the rooms do not allow.

    layers.py INCLUDE_DIR               checks the tree
    layers.py --self-test INCLUDE_DIR   plants one offence after the other in copies of the tree and
                                        fails unless each is reported
"""
import pathlib
import re
import shutil
import sys
import tempfile

# An include goes to a lower floor or to its own room; the files of floor 0 are one room.
FLOORS = {
    "config.hpp": 0, "version.hpp": 0,
    "base": 1,
    "hash": 2, "codec": 2, "proto": 2, "source": 2, "sink": 2,
    "sst": 3, "net": 3,
    "backend": 4, "manifest": 4,
    "backup": 5, "restore": 5,
    "service": 6, "defaults.hpp": 6,
    "kvbackup.hpp": 7,
}
# Included by name only; they see the umbrella, so that they work with the single header too.
OUTER = ("ext", "testing")
UMBRELLA = "kvbackup/kvbackup.hpp"

# Headers that cost every includer too much, or that serve what the library never does.
FORBIDDEN = {"condition_variable", "filesystem", "fstream", "functional", "future", "immintrin.h",
             "iostream", "istream", "mutex", "ostream", "regex", "sstream", "stdexcept", "thread"}
ALLOWED = {("base/executor.hpp", "thread")}

# Words of the compiler that only config.hpp may ask.
COMPILER = re.compile(r"\b(__GNUC__|__clang__|__has_include|__has_builtin|__has_attribute|__x86_64__"
                      r"|__aarch64__|__cpp_\w+|_MSC_VER|__cplusplus)\b")
# What the library never does, as code (comments and literals are taken out before).
NEVER = re.compile(r"\bthrow\s*[\w:;]|\btry\s*{|\bcatch\s*\(|std::(cerr|cout|clog)\b"
                   r"|\b(abort|terminate|exit|_Exit|quick_exit|f?printf|f?puts)\s*\(")
LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'')


def room_of(name):
    return name.split("/", 1)[0]


def may_include(room, to):
    return to == room or FLOORS[to] < FLOORS[room] or FLOORS[to] == FLOORS[room] == 0


def problems_of(path, name):
    """The offences of the header called `name` below kvbackup/."""
    room = room_of(name)
    outer = room in OUTER
    if not outer and room not in FLOORS:
        yield 1, f"the room {room} has no floor; give it one in layers.py"
        return
    depth = 0
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        bare = LITERAL.sub('""', line).split("//", 1)[0]
        directive = re.match(r"\s*#\s*(\w+)\s*(.*)", line)
        if not directive:
            if NEVER.search(bare) and name != "ext/throwing.hpp" and room != "testing":
                yield number, f"the library never does this: {line.strip()}"
            continue
        word, rest = directive.groups()
        if word in ("ifdef", "ifndef") and name != "config.hpp" and "KVBACKUP_WITH_" in rest:
            yield number, "KVBACKUP_WITH_* is 0 or 1: test it with #if"
        if word in ("if", "ifdef", "ifndef", "elif") and name != "config.hpp":
            asked = COMPILER.search(rest)
            if asked:
                yield number, f"only config.hpp may ask for {asked.group(1)}"
        if word == "define" and outer and "KVBACKUP_DETAIL_" in rest:
            yield number, "KVBACKUP_DETAIL_* ends with the single header"
        depth += {"if": 1, "ifdef": 1, "ifndef": 1, "endif": -1}.get(word, 0)
        if word == "include":
            yield from include_problems(name, rest, depth, number)


def include_problems(name, rest, depth, number):
    room = room_of(name)
    outer = room in OUTER
    quoted = re.match(r'"([^"]+)"', rest)
    angled = re.match(r"<([^>]+)>", rest)
    if angled and angled.group(1) in FORBIDDEN and (name, angled.group(1)) not in ALLOWED:
        if not outer:
            yield number, f"<{angled.group(1)}> is not for library headers"
    target = (quoted or angled).group(1) if quoted or angled else ""
    own = target.startswith("kvbackup/")
    if outer:
        sibling = target.startswith(f"kvbackup/{room}/")
        if not sibling and (quoted or (own and target != UMBRELLA)):
            yield number, f"{room}/ includes <{UMBRELLA}>, itself and foreign headers, not {rest}"
        return
    if own and angled:
        yield number, f"own includes stand in quotes: {rest}"
    if quoted and not own:
        yield number, f'own includes begin with "kvbackup/: {rest}'
    if not (quoted and own):
        return
    if depth != 0:
        yield number, f"{rest} is inside #if; put the #if around its body"
    below = target[len("kvbackup/"):]
    to = room_of(below)
    if to in OUTER:
        yield number, f"{rest}: {to}/ is included by its users only"
    elif to not in FLOORS:
        yield number, f"{rest}: no such room"
    elif not may_include(room, to):
        yield number, (f"{room} (floor {FLOORS[room]}) includes {to} (floor {FLOORS[to]}): "
                       "an include goes to a lower floor or its own room")


def check(include_dir):
    root = pathlib.Path(include_dir) / "kvbackup"
    found = []
    for path in sorted(root.rglob("*.hpp")):
        name = path.relative_to(root).as_posix()
        found += [f"kvbackup/{name}:{number}: {text}" for number, text in problems_of(path, name)]
    return found


# (header, lines put in behind its #pragma once, words of the report)
PLANTS = [
    ("base/bytes.hpp", '#include "kvbackup/hash/concept.hpp"', "lower floor"),
    ("hash/concept.hpp", '#include "kvbackup/codec/concept.hpp"', "lower floor"),
    ("sst/concept.hpp", '#include "kvbackup/backend/concept.hpp"', "lower floor"),
    ("sst/concept.hpp", "#include <kvbackup/base/bytes.hpp>", "stand in quotes"),
    ("sst/concept.hpp", '#include "bytes.hpp"', "own includes begin"),
    ("sst/concept.hpp", '#if 1\n#include "kvbackup/base/bytes.hpp"\n#endif', "inside #if"),
    ("sst/concept.hpp", '#include "kvbackup/ext/lmdb.hpp"', "by its users only"),
    ("sst/concept.hpp", '#include "kvbackup/attic/old.hpp"', "no such room"),
    ("base/bytes.hpp", "#include <mutex>", "not for library headers"),
    ("base/bytes.hpp", "#ifdef KVBACKUP_WITH_LZ4\n#endif", "with #if"),
    ("base/bytes.hpp", "#if defined(__GNUC__)\n#endif", "only config.hpp"),
    ("base/bytes.hpp", "inline void planted() { throw 1; }", "never does"),
    ("base/bytes.hpp", "inline void planted() { std::abort(); }", "never does"),
    ("ext/planted.hpp", '#include "kvbackup/base/bytes.hpp"', "foreign headers, not"),
    ("attic/planted.hpp", "", "has no floor"),
]


def self_test(include_dir):
    missed = []
    for header, planted, words in PLANTS:
        with tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder) / "include"
            shutil.copytree(include_dir, copy)
            path = copy / "kvbackup" / header
            path.parent.mkdir(exist_ok=True)
            text = path.read_text(encoding="utf-8") if path.exists() else "#pragma once\n"
            path.write_text(text.replace("#pragma once\n", f"#pragma once\n{planted}\n", 1),
                            encoding="utf-8")
            if not any(header in found and words in found for found in check(copy)):
                missed.append(f"not reported: in {header}: {planted}")
    return missed


def main(arguments):
    planting = arguments[:1] == ["--self-test"]
    found = (self_test if planting else check)(arguments[-1])
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
