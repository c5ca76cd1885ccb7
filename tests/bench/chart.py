#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Puts what compare.py and threads.py measured into docs/performance.md and docs/performance.svg.

    chart.py compare.json [--threads threads.json]

Replaces the tables that stand between `<!-- NAME -->` and `<!-- end -->` of the page and draws the
ratios of `table` and `pipeline` to RocksDB as bars.
"""
import argparse
import json
import pathlib
import re
import statistics

DOCS = pathlib.Path(__file__).parents[2] / "docs"
CODECS = ["none", "snappy", "lz4", "zstd"]
SERIES = {"table": ("#3b82c4", "table / RocksDB's SstFileWriter"),
          "pipeline": ("#d9822b", "backup / RocksDB with both digests, in memory")}
GREY = "#7a7a7a"  # reads on white and on black


def state(runs):
    others = statistics.median(run["others_busy_cores"] for run in runs)
    kind = "idle" if others < 0.1 else "**not idle**, so that these figures are provisional"
    raw = statistics.median(run["raw_bytes"] for run in runs) / (1 << 20)
    return f"{raw:.0f} MiB a run. Others kept {others:.2f} cores busy meanwhile (median): the machine was {kind}."


def ratios(summaries, modes):
    """One row a codec and set, a column for each mode: MB/s of both, and the ratio."""
    cells = {(s["dataset"], s["compression"], s["mode"]): s for s in summaries}
    lines = ["| set | codec | " + " | ".join(modes) + " | size |", "|---|---|" + "---|" * (len(modes) + 1)]
    for name in sorted({s["dataset"] for s in summaries}):
        for codec in CODECS:
            row = [cells.get((name, codec, mode)) for mode in modes]
            if not any(row):
                continue
            texts = [f"{s['kvbackup_mb_s']:.0f} / {s['rocksdb_mb_s']:.0f} = {s['ratio']:.2f}" if s else "" for s in row]
            size = next(s["kvbackup_bytes"] / s["rocksdb_bytes"] for s in row if s)
            lines.append(f"| {name} | {codec} | " + " | ".join(texts) + f" | {size:.3f} |")
    return "\n".join(lines)


def threads(summaries):
    lines = ["| set | codec | one thread, s | two on one range | gain | two ranges | gain | CPU of two on one range |",
             "|---|---|---|---|---|---|---|---|"]
    for s in summaries:
        lines.append(f"| {s['dataset']} | {s['compression']} | {s['one']:.3f} | {s['shared']:.3f} | "
                     f"{s['one'] / s['shared']:.2f} | {s['ranges']:.3f} | {s['one'] / s['ranges']:.2f} | "
                     f"x {s['shared_cpu'] / s['one_cpu']:.2f} |")
    return "\n".join(lines)


def fill(name, text):
    page = DOCS / "performance.md"
    old = page.read_text()
    new, found = re.subn(rf"(<!-- {name} -->\n).*?(<!-- end -->)", lambda m: f"{m[1]}{text}\n{m[2]}", old, flags=re.S)
    if found != 1:
        raise SystemExit(f"chart.py: {page} has no place for {name}")
    page.write_text(new)


def draw(summaries):
    rows = sorted({(s["dataset"], CODECS.index(s["compression"])) for s in summaries})
    cells = {(s["dataset"], CODECS.index(s["compression"]), s["mode"]): s["ratio"] for s in summaries}
    most = max([cells.get((*row, mode), 0) for row in rows for mode in SERIES] + [1])
    left, top, step, width = 90, 60, 34, 560
    scale = width / most
    height = top + step * len(rows) + 12
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 60} {height}" '
           f'font-family="sans-serif" font-size="12" fill="{GREY}">',
           "<title>How many times as fast as RocksDB, one thread, by data set and codec</title>"]
    for i, (colour, label) in enumerate(SERIES.values()):
        out.append(f'<rect x="{left}" y="{8 + 18 * i}" width="12" height="12" fill="{colour}"/>')
        out.append(f'<text x="{left + 18}" y="{18 + 18 * i}">{label}</text>')
    for i, row in enumerate(rows):
        y = top + step * i
        out.append(f'<text x="{left - 8}" y="{y + 18}" text-anchor="end">{row[0]} {CODECS[row[1]]}</text>')
        for j, (mode, (colour, _)) in enumerate(SERIES.items()):
            ratio = cells.get((*row, mode))
            if ratio is None:
                continue
            out.append(f'<rect x="{left}" y="{y + 13 * j}" width="{ratio * scale:.1f}" height="11" fill="{colour}"/>')
            out.append(f'<text x="{left + ratio * scale + 5:.1f}" y="{y + 13 * j + 10}">{ratio:.2f}</text>')
    x = left + scale
    out.append(f'<line x1="{x:.1f}" y1="{top - 6}" x2="{x:.1f}" y2="{height - 8}" stroke="{GREY}" stroke-dasharray="4 3"/>')
    out.append(f'<text x="{x:.1f}" y="{top - 9}" text-anchor="middle">RocksDB</text></svg>')
    (DOCS / "performance.svg").write_text("\n".join(out) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("json", type=pathlib.Path)
    parser.add_argument("--threads", type=pathlib.Path)
    args = parser.parse_args()
    measured = json.loads(args.json.read_text())
    fill("write", ratios(measured["summaries"], ["table", "pipeline", "pipeline-file"])
         + "\n\n" + state(measured["runs"]))
    fill("read", ratios(measured["summaries"], ["scan", "verify-blocks", "verify"]) + "\n\n" + state(measured["runs"]))
    draw(measured["summaries"])
    if args.threads:
        measured = json.loads(args.threads.read_text())
        fill("threads", threads(measured["threads"]) + "\n\n" + state(measured["runs"]))


if __name__ == "__main__":
    main()
