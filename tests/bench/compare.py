#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs rocksdb_bench and kvbackup_bench in turn on the same pairs, and prints medians and ratios.

    compare.py --programs FOLDER [--folder DIR] [--rounds N] [--sets ABCD] [--codecs none,lz4]
               [--modes table,scan] [--filter BITS] [--block-size BYTES] [--mib N] [--wall] [--json FILE]

One process a turn, the first place changing from round to round. It compares CPU seconds, which is
right for one thread on a file system in memory; --wall compares wall seconds, for a disk. A ratio
above 1 says that kvbackup is faster. `floor` is how near that is to FLOORS, where there is one. With
--filter tables are written with a bloom filter too, and what it adds is told in ns a key. Scans and verifications of blocks read the same files, those
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
    "filter": ("table", "table"),  # with --bloom=BITS
    "pipeline": ("pipeline", "pipeline"),
    "pipeline-memory": ("pipeline-memory", "pipeline-memory"),
    "pipeline-file": ("pipeline-file", "pipeline"),
    "scan": ("scan", "scan"),
    "verify-blocks": ("verify-blocks", "verify-blocks"),
    "verify": ("verify", "verify"),
}
NOT_BY_DEFAULT = ("filter", "pipeline-memory")
# Speed, as a multiple of RocksDB's on the same machine, of a loop that does only what no writer can leave out, with
# blocks of 4 KiB: it builds, compresses and sums blocks and writes them (and, for the pipelines, takes CRC-64 of every
# pair and SHA-256 while the bytes are in cache), without an index, properties, checks of order or errors. Measured on
# a Xeon with AVX-512 and SHA extensions; another CPU shifts them.
FLOORS = {
    "table": {"A": (2.57, 1.98, 1.93, 1.46), "B": (2.00, 1.14, 1.21, 1.30),
              "C": (1.65, 1.33, 1.24, 1.20), "D": (5.32, 2.58, 2.85, 1.95)},
    "pipeline": {"A": (3.20, 2.29, 2.20, 1.57), "B": (2.36, 1.41, 1.53, 1.37),
                 "C": (2.75, 1.81, 1.85, 1.35), "D": (4.20, 2.78, 2.92, 2.04)},
    "pipeline-file": {"A": (1.94, 1.78, 1.73, 1.45), "B": (1.66, 1.14, 1.22, 1.30),
                      "C": (1.44, 1.30, 1.30, 1.21), "D": (3.55, 2.44, 2.60, 1.93)},
}
FLOORS_BLOCK_SIZE = 4096
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
    parser.add_argument("--modes", default=",".join(mode for mode in MODES if mode not in NOT_BY_DEFAULT))
    parser.add_argument("--filter", type=int, metavar="BITS", help="what a bloom filter of BITS a key adds to a table")
    parser.add_argument("--block-size", type=int, default=4096)
    parser.add_argument("--mib", type=int, help="raw MiB of each set (default: 256, D: 128)")
    parser.add_argument("--wall", action="store_true")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    args.modes = args.modes.split(",")
    if args.filter:
        args.modes += [mode for mode in ("table", "filter") if mode not in args.modes]
    return args


class Comparison:
    """One data set and codec."""

    def __init__(self, args, folder, name, codec):
        self.args, self.name, self.codec = args, name, codec
        self.mib = args.mib or MIB[name]
        self.paths = {"rocksdb": folder / "r", "kvbackup": folder / "k"}
        self.rows = []

    def run(self, tool, mode, row=None):
        path = self.paths[tool]
        if tool == "kvbackup" and mode in ("scan", "verify-blocks"):
            path = self.paths["rocksdb"]
        command = [self.args.programs / f"{tool}_bench", self.name, self.codec, path, str(self.mib),
                   f"--mode={mode}", "--file-mb=64", f"--block-size={self.args.block_size}"]
        if row == "filter":
            command.append(f"--bloom={self.args.filter or 10}")
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        self.rows.append(json.loads(out) | {"row": row})

    def prepare(self):
        """The files that the reading modes read."""
        self.run("rocksdb", "table")
        self.run("kvbackup", "pipeline")
        self.check()
        self.rows.clear()

    def round(self, number):
        for modes in self.args.modes:
            turns = list(zip(("rocksdb", "kvbackup"), MODES[modes]))
            for tool, mode in reversed(turns) if number % 2 else turns:
                self.run(tool, mode, modes)
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
        floors = FLOORS.get(modes, {}).get(self.name)
        if floors and self.args.block_size == FLOORS_BLOCK_SIZE:
            out["floor_ratio"] = floors[CODECS.index(self.codec)]
            out["of_floor"] = out["ratio"] / out["floor_ratio"]
        return out

    def filter_cost(self, summaries):
        """What the filter adds to a table, in ns a key, by tool."""
        with_filter, without = ({s["mode"]: s for s in summaries}[mode] for mode in ("filter", "table"))
        pairs = self.rows[0]["kvs"]
        return {"dataset": self.name, "compression": self.codec, "bits": self.args.filter,
                **{tool: (with_filter[tool] - without[tool]) / pairs * 1e9 for tool in ("rocksdb", "kvbackup")}}


def show(summaries, filters, others):
    print(f"{'set':<4}{'codec':<8}{'mode':<16}{'RocksDB MB/s':>13}{'kvbackup MB/s':>15}{'ratio':>8}{'floor':>8}{'size':>8}")
    for s in summaries:
        size = s["kvbackup_bytes"] / s["rocksdb_bytes"]
        floor = f"{s['of_floor']:.0%}" if "of_floor" in s else ""
        print(f"{s['dataset']:<4}{s['compression']:<8}{s['mode']:<16}{s['rocksdb_mb_s']:>13.0f}"
              f"{s['kvbackup_mb_s']:>15.0f}{s['ratio']:>8.2f}{floor:>8}{size:>8.3f}")
    for f in filters:
        print(f"set {f['dataset']}, {f['compression']}: a filter of {f['bits']} bits a key costs "
              f"{f['rocksdb']:.1f} (RocksDB) and {f['kvbackup']:.1f} (kvbackup) ns a key")
    state = "idle" if statistics.median(others) < IDLE else "NOT idle: read the ratios with care"
    print(f"other programs kept {statistics.median(others):.2f} cores busy (median; at most "
          f"{max(others):.2f}): the machine was {state}")


def main():
    args = arguments()
    summaries, filters, rows = [], [], []
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kvbackup_bench.", dir=args.folder))
    try:
        for name in args.sets:
            for codec in args.codecs.split(","):
                comparison = Comparison(args, folder, name, codec)
                comparison.prepare()
                for number in range(args.rounds):
                    comparison.round(number)
                own = [comparison.summary(modes) for modes in args.modes]
                if args.filter:
                    filters.append(comparison.filter_cost(own))
                summaries += own
                rows += comparison.rows
                for path in folder.iterdir():
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
    finally:
        shutil.rmtree(folder)
    others = [row["others_busy_cores"] for row in rows]
    show(summaries, filters, others)
    if args.json:
        args.json.write_text(json.dumps({"summaries": summaries, "filters": filters, "runs": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
