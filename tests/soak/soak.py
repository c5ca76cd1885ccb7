#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Backs random stores up, breaks it on the way, verifies, restores and compares, again and again.

    soak.py --seconds N [--seed TEXT] [--only RUN]

KVBACKUP is the program, KVBACKUP_FAULTS the library of tests/support/syscall_faults.cpp. A run is decided by
the seed and its number alone, so `--seed TEXT --only RUN` does one that failed once more. Ends with 1 if one did.
"""
import argparse
import collections
import errno
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "servers"))
import fault_proxy
from s3_server import Server

PROGRAM = os.environ["KVBACKUP"]
FAULTS = os.environ["KVBACKUP_FAULTS"]
ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EMFILE, errno.EDQUOT, errno.EROFS, errno.EINTR)


class Finding(Exception):
    """Something that must not be."""


class Soak:
    def __init__(self):
        self.counts = collections.Counter()
        self.faults = collections.Counter()
        self.server = Server()
        self.proxy = fault_proxy.start("127.0.0.1", self.server.port)
        help_text = subprocess.run([PROGRAM, "backup", "--help"], capture_output=True, text=True, check=True).stdout
        self.can_resume = "--resume" in help_text
        commands = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=True).stdout
        self.can_clean = "\n  clean " in commands


class Run:
    def __init__(self, soak, seed, folder):
        self.soak, self.random, self.folder = soak, random.Random(seed), folder
        self.log = []
        self.process = None
        self.resumable = False

    # -- the program -----------------------------------------------------------------------------

    def program(self, *arguments, fault=None, below=(), expect=(0,)):
        """Its exit code, after one of the expected ones; `fault` as KVBACKUP_FAULT."""
        environment = dict(os.environ, AWS_ACCESS_KEY_ID="soak", AWS_SECRET_ACCESS_KEY="soak")
        if fault is not None:
            environment |= {"LD_PRELOAD": FAULTS, "KVBACKUP_FAULT": fault,
                            "KVBACKUP_FAULT_BELOW": ":".join(map(str, below)),
                            "KVBACKUP_FAULT_REPORT": str(self.folder / "count")}
        command = [PROGRAM, *map(str, arguments)]
        output = self.folder / "output"
        with open(output, "wb") as file:
            self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=file,
                                            stderr=subprocess.STDOUT)
            try:
                code = self.process.wait(timeout=600)
            except subprocess.TimeoutExpired as error:
                self.process.kill()
                self.process.wait()
                raise Finding(f"hangs: {' '.join(command)}") from error
        text = output.read_text(errors="replace")
        self.log.append(f"{'' if fault is None else fault + ' '}{' '.join(command)}\n  = {code}: {text[-1500:]}")
        if code not in expect:
            raise Finding(f"exit code {code}, not one of {expect}")
        return code

    def count(self, *arguments, below):
        """Operations on files below these paths that the command takes."""
        self.program(*arguments, fault="count", below=below)
        return max(1, int((self.folder / "count").read_text()))

    def file_fault(self, most):
        action = self.random.choice(["kill", "kill", "cut", "cut", "fail", "once", "delay"])
        fault = f"{action}:{self.random.randint(1, most)}"
        if action in ("fail", "once"):
            error = self.random.choice(ERRORS)
            fault += f":{error}"
            action += " " + errno.errorcode[error]
        self.soak.faults[action] += 1
        return fault

    # -- stores ----------------------------------------------------------------------------------

    def pairs(self):
        """A sorted list of (key, value) in hex, that every kind of store can hold."""
        pick = self.random
        count = pick.choice([0, 1, 2, 50, 1000, 5000, 20000])
        longest_key = pick.choice([4, 16, 60, 511])
        longest_value = pick.choice([0, 10, 100, 400, 2000])
        most = pick.choice([8_000_000] * 9 + [40_000_000])  # the latter: more than one part of an upload
        count = min(count, most // (longest_key + longest_value + 1))
        words = [pick.randbytes(pick.randint(1, 40)) for _ in range(20)]
        pairs = {}
        for _ in range(count):
            key = pick.randbytes(pick.randint(1, longest_key))
            if pick.random() < 0.5:  # keys with much in common
                key = (pick.choice(words) + key)[:511]
            size = pick.randint(0, longest_value)
            value = pick.randbytes(size) if pick.random() < 0.5 else (pick.choice(words) * (size // 2 + 1))[:size]
            pairs[key] = value
        if pairs and pick.random() < 0.2:
            pairs[pick.choice(list(pairs))] = pick.randbytes(pick.randint(100_000, most // 3))
        return sorted(pairs.items())

    @staticmethod
    def tsv(pairs):
        return "".join(f"{key.hex()}\t{value.hex()}\n" for key, value in pairs)

    def make_store(self, pairs):
        """The URI of a store of a random kind that holds the pairs."""
        tsv = self.folder / "source.tsv"
        tsv.write_text(self.tsv(pairs))
        kind = self.random.choice(["tsv", "rocksdb", "lmdb", "leveldb", "sst"])
        self.soak.counts[f"stores {kind}"] += 1
        # LevelDB tells no state that would show a change
        self.resumable = self.soak.can_resume and kind != "leveldb"
        if kind == "tsv":
            return f"tsv:{tsv}"
        store = self.folder / "store"
        if kind == "sst":
            made = self.folder / "tables"
            self.program("backup", "--source", f"tsv:{tsv}", "-s", made, "--profile", "rocksdb", "--file-size", 1)
            store.mkdir()
            for file in made.glob("*.sst"):
                file.rename(store / file.name)
            return f"sst:{store}" if pairs else f"tsv:{tsv}"
        self.program("convert", "--source", f"tsv:{tsv}", "--sink", f"{kind}:{store}")
        return f"{kind}:{store}"

    def compare(self, sink, path, expected):
        """What the store at `path` holds is `expected`, nothing more or less."""
        if sink == "tsv":
            text = path.read_text()
        else:
            copy = self.folder / "compared.tsv"
            copy.unlink(missing_ok=True)
            self.program("convert", "--source", f"{sink}:{path}", "--sink", f"tsv:{copy}")
            text = copy.read_text()
        if text != self.tsv(expected):
            raise Finding(f"{sink}:{path} holds {text.count(chr(10))} pairs, not the {len(expected)} expected, or others")

    # -- storage ---------------------------------------------------------------------------------

    def has_backup(self):
        if self.bucket is None:
            return (self.place / "backupmeta").exists()
        return f"{self.bucket}/backupmeta" in self.soak.server.objects

    def choose_storage(self):
        self.bucket, self.place = None, self.folder / "backup"
        self.soak.server.objects.clear()
        self.soak.server.uploads.clear()
        self.soak.proxy.script.load([])
        if self.random.random() < 0.65:
            self.soak.counts["storage local"] += 1
            return self.place
        self.soak.counts["storage S3"] += 1
        self.bucket = f"soak{self.random.randrange(1000)}"
        return f"s3://bucket/{self.bucket}?endpoint=http://127.0.0.1:{self.soak.proxy.server_address[1]}"

    def forget_backup(self):
        if self.bucket is None:
            shutil.rmtree(self.place, ignore_errors=True)
        self.soak.server.objects.clear()
        self.soak.server.uploads.clear()

    def network_faults(self, allow_kill):
        """A script for the proxy: some of these, at random requests."""
        rules = []
        for _ in range(self.random.randint(1, 4)):
            rule = dict(self.random.choice([
                {"do": "reset", "at": "before"}, {"do": "reset", "at": "body", "bytes": self.random.randrange(3000)},
                {"do": "reset", "at": "after"}, {"do": "lose_answer"},
                {"do": "cut_answer", "method": "GET", "bytes": self.random.randrange(200)},
                {"do": "answer", "status": self.random.choice([500, 503]), "body": ""}]))
            rules.append(dict(rule, skip=self.random.randrange(12)))
        if allow_kill and self.random.random() < 0.5:
            rules = [{"do": "call", "call": lambda: self.process.kill(), "skip": self.random.randrange(12)}]
        self.soak.proxy.script.load(rules)

    def count_network_faults(self):
        for action in self.soak.proxy.script.taken():
            self.soak.faults[f"network {'kill' if action == 'call' else action}"] += 1
        self.soak.proxy.script.load([])

    # -- a run -----------------------------------------------------------------------------------

    def backup_flags(self):
        pick = self.random
        flags = ["--compression", pick.choice(["lz4", "snappy", "zstd", "none"]), "--concurrency", pick.choice([1, 2, 5]),
                 "--profile", pick.choice(["br", "br", "rocksdb"]), "--file-size", pick.choice([1, 1, 3, 144])]
        if pick.random() < 0.2:
            flags.append("--verify-after")
        if pick.random() < 0.2:
            flags.append("--store-folder")
        return flags

    def back_up(self, arguments):
        """Until it is there, through faults or without."""
        for _ in range(self.random.choice([0, 0, 1, 1, 3])):
            fault, below = None, ()
            if self.bucket is not None:
                self.network_faults(allow_kill=True)
            else:
                below = (self.place,)
                fault = self.file_fault(self.random.choice([10, 30, 60, 120]))
            code = self.program(*arguments, fault=fault, below=below, expect=(0, 1, -signal.SIGKILL))
            self.count_network_faults()
            if code == 0 and not self.has_backup():
                raise Finding("success without a backup")
            if self.has_backup():
                self.soak.counts["backups whole in spite of a fault"] += 1
                return
            self.program("verify", "-s", arguments[arguments.index("-s") + 1], expect=(1,))
            if not self.resumable:
                self.forget_backup()
            elif "--resume" not in arguments:
                arguments = [*arguments, "--resume"]
            self.soak.counts["resumed" if self.resumable else "begun anew"] += 1
        self.program(*arguments)
        if "--resume" in arguments:
            self.nothing_is_left(arguments[arguments.index("-s") + 1])

    def restore(self, storage, flags, expected):
        sink = self.random.choice(["tsv", "rocksdb", "lmdb", "leveldb"])
        target = self.folder / "restored"
        arguments = ["restore", "-s", storage, "--sink", f"{sink}:{target}", *flags,
                     "--concurrency", self.random.choice([1, 4])]
        for _ in range(self.random.choice([0, 0, 1, 2])):
            if self.bucket is not None and self.random.random() < 0.5:
                self.network_faults(allow_kill=True)
                code = self.program(*arguments, expect=(0, 1, -signal.SIGKILL))
                self.count_network_faults()
            else:
                fault = self.file_fault(self.random.choice([10, 50, 150, 700]))
                # RocksDB calls some failures of the disk wrong usage; built with assertions it ends by some
                of_rocksdb = (2, -signal.SIGABRT) if sink == "rocksdb" else ()
                code = self.program(*arguments, fault=fault, below=(target, f"{target}.restoring"),
                                    expect=(0, 1, -signal.SIGKILL, *of_rocksdb))
                self.soak.counts["assertions of RocksDB's own"] += code == -signal.SIGABRT
            if code == 0 and not target.exists():
                raise Finding("success without a store")
            if target.exists():
                break
        if not target.exists():
            self.program(*arguments)
        self.compare(sink, target, expected)
        self.soak.counts[f"restored to {sink}"] += 1

    def damage(self, storage):
        """One changed bit is found, and nothing comes of it."""
        if self.bucket is None:
            name = self.random.choice(sorted(path for path in self.place.rglob("*") if path.is_file()))
            data = name.read_bytes()
        else:
            objects = self.soak.server.objects
            name = self.random.choice(sorted(objects))
            data = objects[name]
        changed = bytearray(data)
        changed[self.random.randrange(len(changed))] ^= 1 << self.random.randrange(8)

        def put(to):
            if self.bucket is None:
                name.write_bytes(to)
            else:
                objects[name] = bytes(to)
        put(changed)
        self.soak.faults["bit flipped"] += 1
        self.program("verify", "-s", storage, expect=(3,))
        target = self.folder / "damaged"
        code = self.program("restore", "-s", storage, "--sink", f"tsv:{target}", expect=(0, 1, 3))
        if code != 0 and target.exists():
            raise Finding("a damaged backup left a restored store")
        put(data)

    def nothing_is_left(self, storage):
        """A whole backup lies alone in its place."""
        self.program("verify", "-s", storage, "--strict")
        self.program("clean", "-s", storage, "--json")
        if json.loads((self.folder / "output").read_text())["items"] or self.soak.server.uploads:
            raise Finding("something is left beside the backup")

    def cleaned(self, storage):
        if self.soak.can_clean:
            self.program("clean", "-s", storage, "--yes")
            self.nothing_is_left(storage)

    def run(self):
        pick, soak = self.random, self.soak
        pairs = self.pairs()
        source = self.make_store(pairs)
        storage = self.choose_storage()
        arguments = ["backup", "--source", source, "-s", storage, *self.backup_flags()]
        if pairs and pick.random() < 0.3:
            start, end = sorted(pick.choice(pairs)[0] for _ in range(2))
            if start != end:
                arguments += ["--start", start.hex(), "--end", end.hex()]
                pairs = [pair for pair in pairs if start <= pair[0] < end]
        self.back_up(arguments)
        if self.bucket is not None and pick.random() < 0.3:
            self.network_faults(allow_kill=False)
        self.program("verify", "-s", storage, "--concurrency", pick.choice([1, 4]))
        self.count_network_faults()
        self.cleaned(storage)
        if pick.random() < 0.2:
            self.damage(storage)
        expected, flags = pairs, []
        if pairs and pick.random() < 0.2:
            start = pick.choice(pairs)[0]
            flags = ["--start", start.hex()]
            expected = [pair for pair in pairs if start <= pair[0]]
        self.restore(storage, flags, expected)
        soak.counts["runs"] += 1
        soak.counts["pairs"] += len(pairs)
        soak.counts["bytes of pairs"] += sum(len(key) + len(value) for key, value in pairs)


def one_run(soak, seed, number):
    """Whether it found nothing. The folder of one that did stays."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kvbackup-soak-"))
    run = Run(soak, f"{seed}:{number}", folder)
    try:
        run.run()
    except Exception as error:  # noqa: BLE001 - whatever it is, the soak goes on
        if not isinstance(error, Finding):
            traceback.print_exc()
        print(f"FOUND in run {number}: {error}\n  again: --seed {seed} --only {number}\n  files: {folder}", *run.log[-8:],
              sep="\n", flush=True)
        soak.counts["failures"] += 1
        return False
    shutil.rmtree(folder)
    return True


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", default=str(random.SystemRandom().randrange(10**9)))
    parser.add_argument("--only", type=int)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    soak = Soak()
    end, number, failed = time.monotonic() + arguments.seconds, 0, 0
    if arguments.only is not None:
        failed = not one_run(soak, arguments.seed, arguments.only)
    else:
        while number == 0 or time.monotonic() < end:
            failed += not one_run(soak, arguments.seed, number)
            number += 1
            if number % 50 == 0:
                print(f"{number} runs", flush=True)
    print(f"seed {arguments.seed}:", ", ".join(f"{name} {count}" for name, count in sorted(soak.counts.items())))
    print("faults injected:", sum(soak.faults.values()),
          "(" + ", ".join(f"{name} {count}" for name, count in sorted(soak.faults.items())) + ")")
    print(f"{failed} failures")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
