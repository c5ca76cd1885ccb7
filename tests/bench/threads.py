#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a second thread gains: backups of the same pairs by one thread, by two threads that share one
range, and by two threads with a range each. Prints wall seconds and how many times as fast two are.

    threads.py --programs FOLDER [--folder DIR] [--rounds N] [--sets ABCD] [--codecs lz4,zstd]
               [--mib N] [--best] [--json FILE]

One process a turn, in turn, each thread on a CPU of its own. Needs two idle CPUs: it says how busy
others kept them. --best takes the best run of each kind in place of the median, which is the less
wrong figure on a machine that others use; `cpu` is what two threads that share a range spend
together, as a multiple of one thread's CPU seconds: on idle CPUs they cannot gain more than 2 / cpu.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile

KINDS = {"one": [], "shared": ["--threads=2"], "ranges": ["--writers=2"]}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--programs", type=pathlib.Path, required=True)
    parser.add_argument("--folder", default="/dev/shm" if os.path.isdir("/dev/shm") else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sets", default="ABCD")
    parser.add_argument("--codecs", default="lz4,zstd")
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--best", action="store_true")
    parser.add_argument("--json", type=pathlib.Path)
    return parser.parse_args()


def measure(args, folder, name, codec):
    rows = {kind: [] for kind in KINDS}
    for _ in range(args.rounds):
        for kind, options in KINDS.items():
            command = [args.programs / "kvbackup_bench", name, codec, folder / "k", str(args.mib),
                       "--mode=pipeline", "--file-mb=64", "--pin", *options]
            out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            rows[kind].append(json.loads(out))
            for path in folder.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    pick = min if args.best else statistics.median
    summary = {"dataset": name, "compression": codec}
    for kind, runs in rows.items():
        summary[kind] = pick(run["seconds"] for run in runs)
        summary[kind + "_cpu"] = pick(run["cpu_seconds"] for run in runs)
        summary[kind + "_peak_kib"] = max(run["peak_rss_kib"] - run["rss_before_kib"] for run in runs)
    return summary, [run for runs in rows.values() for run in runs]


def main():
    args = arguments()
    summaries, runs = [], []
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kvbackup_threads.", dir=args.folder))
    try:
        print(f"{'set':<4}{'codec':<8}{'one s':>8}{'shared s':>10}{'ranges s':>10}{'shared':>8}{'ranges':>8}"
              f"{'cpu':>7}{'MiB':>7}")
        for name in args.sets:
            for codec in args.codecs.split(","):
                s, rows = measure(args, folder, name, codec)
                print(f"{name:<4}{codec:<8}{s['one']:>8.3f}{s['shared']:>10.3f}{s['ranges']:>10.3f}"
                      f"{s['one'] / s['shared']:>8.2f}{s['one'] / s['ranges']:>8.2f}"
                      f"{s['shared_cpu'] / s['one_cpu']:>7.2f}{s['shared_peak_kib'] / 1024:>7.1f}", flush=True)
                summaries.append(s)
                runs += rows
    finally:
        shutil.rmtree(folder)
    others = [run["others_busy_cores"] for run in runs]
    print(f"other programs kept {statistics.median(others):.2f} cores busy (median)")
    if args.json:
        args.json.write_text(json.dumps({"threads": summaries, "runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
