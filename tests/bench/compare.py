#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs rocksdb_bench and kvbackup_bench in turn on the same pairs, and prints medians and ratios.

    compare.py --programs FOLDER [--folder DIR] [--rounds N] [--sets ABCD] [--codecs none,lz4]
               [--modes table,scan] [--block-size BYTES] [--mib N] [--wall] [--json FILE]

One process a turn, the first place changing from round to round. It compares CPU seconds, which is
right for one thread on a file system in memory; --wall compares wall seconds, for a disk. A ratio
above 1 says that kvbackup is faster. Scans and verifications of blocks read the same files, those
of RocksDB; `verify` of kvbackup proves a backup, that of RocksDB is scan + CRC-64 of the pairs +
SHA-256 of the files. Ends with 1 where the two disagree about the pairs.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

# What rocksdb_bench does, and what kvbackup_bench does for the same purpose.
MODES = {
    "table": ("table", "table"),
    "pipeline": ("pipeline", "pipeline"),
    "pipeline-file": ("pipeline-file", "pipeline"),
    "scan": ("scan", "scan"),
    "verify-blocks": ("verify-blocks", "verify-blocks"),
    "verify": ("verify", "verify"),
}
MIB = {"A": 256, "B": 256, "C": 256, "D": 128}
CODECS = ["none", "snappy", "lz4", "zstd"]
IDLE = 0.1  # cores that other programs may keep busy


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--programs", type=pathlib.Path, required=True)
    parser.add_argument("--folder", default="/dev/shm" if os.path.isdir("/dev/shm") else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sets", default="ABCD")
    parser.add_argument("--codecs", default=",".join(CODECS))
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--block-size", type=int, default=4096)
    parser.add_argument("--mib", type=int, help="raw MiB of each set (default: 256, D: 128)")
    parser.add_argument("--wall", action="store_true")
    parser.add_argument("--json", type=pathlib.Path)
    return parser.parse_args()


class Comparison:
    """One data set and codec."""

    def __init__(self, args, folder, name, codec):
        self.args, self.name, self.codec = args, name, codec
        self.mib = args.mib or MIB[name]
        self.paths = {"rocksdb": folder / "r", "kvbackup": folder / "k"}
        self.rows = []

    def run(self, tool, mode):
        path = self.paths[tool]
        if tool == "kvbackup" and mode in ("scan", "verify-blocks"):
            path = self.paths["rocksdb"]
        command = [self.args.programs / f"{tool}_bench", self.name, self.codec, path, str(self.mib),
                   f"--mode={mode}", "--file-mb=64", f"--block-size={self.args.block_size}"]
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        self.rows.append(json.loads(out))
        return self.rows[-1]

    def prepare(self):
        """The files that the reading modes read."""
        self.run("rocksdb", "table")
        self.run("kvbackup", "pipeline")
        self.check()
        self.rows.clear()

    def round(self, number):
        for modes in self.args.modes.split(","):
            turns = list(zip(("rocksdb", "kvbackup"), MODES[modes]))
            for tool, mode in reversed(turns) if number % 2 else turns:
                self.run(tool, mode)["row"] = modes
            self.check()

    def check(self):
        for field in ("input_fingerprint", "kvs", "raw_bytes", "crc64xor"):
            seen = {row[field] for row in self.rows if field in row}
            if len(seen) > 1:
                sys.exit(f"compare.py: set {self.name}, codec {self.codec}: the programs disagree, "
                         f"{field} is {' and '.join(map(str, sorted(seen)))}")

    def summary(self, modes):
        clock = "seconds" if self.args.wall else "cpu_seconds"
        out = {"dataset": self.name, "compression": self.codec, "mode": modes}
        for tool in ("rocksdb", "kvbackup"):
            rows = [row for row in self.rows if row["row"] == modes and row["tool"] == tool]
            out[tool] = statistics.median(row[clock] for row in rows)
            out[tool + "_mb_s"] = rows[0]["raw_bytes"] / out[tool] / 1e6
            out[tool + "_bytes"] = rows[0]["output_bytes"]
            out[tool + "_runs"] = [row[clock] for row in rows]
        out["ratio"] = out["rocksdb"] / out["kvbackup"]
        return out


def show(summaries, others):
    print(f"{'set':<4}{'codec':<8}{'mode':<15}{'RocksDB MB/s':>13}{'kvbackup MB/s':>15}{'ratio':>8}{'size':>8}")
    for s in summaries:
        size = s["kvbackup_bytes"] / s["rocksdb_bytes"]
        print(f"{s['dataset']:<4}{s['compression']:<8}{s['mode']:<15}{s['rocksdb_mb_s']:>13.0f}"
              f"{s['kvbackup_mb_s']:>15.0f}{s['ratio']:>8.2f}{size:>8.3f}")
    state = "idle" if statistics.median(others) < IDLE else "NOT idle: read the ratios with care"
    print(f"other programs kept {statistics.median(others):.2f} cores busy (median; at most "
          f"{max(others):.2f}): the machine was {state}")


def main():
    args = arguments()
    summaries, rows = [], []
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kvbackup_bench.", dir=args.folder))
    try:
        for name in args.sets:
            for codec in args.codecs.split(","):
                comparison = Comparison(args, folder, name, codec)
                comparison.prepare()
                for number in range(args.rounds):
                    comparison.round(number)
                summaries += [comparison.summary(modes) for modes in args.modes.split(",")]
                rows += comparison.rows
                for path in folder.iterdir():
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
    finally:
        shutil.rmtree(folder)
    others = [row["others_busy_cores"] for row in rows]
    show(summaries, others)
    if args.json:
        args.json.write_text(json.dumps({"summaries": summaries, "runs": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
