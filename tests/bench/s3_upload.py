#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Uploads one object to Ceph's gateway on loopback, by kvbackup's S3 backend and by rclone in turn, with
the same part size and as many parts in flight. Prints the medians and their ratio.

    tests/bench/s3_upload.py [--tool PATH] [--mib N] [--part-mib N] [--in-flight N] [--runs N]

Needs the packages of scripts/deps.sh --servers and the target s3_tool of a build with
KVBACKUP_TEST_SERVERS. The servers use the same processors as the clients, so a ratio of times says
less than it would on two machines; CPU seconds are those of the client alone.
"""
import argparse
import os
import pathlib
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(TOP / "tests/servers"))
import s3_servers  # noqa: E402

BUCKET = "kvbackup-bench"


def plain_environment():
    return {name: value for name, value in os.environ.items()
            if not name.startswith(("AWS_", "RCLONE_")) and not name.lower().endswith("_proxy")}


def timed(command, environment, source):
    """(wall seconds, CPU seconds) of a command that reads the file."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    with open(source, "rb") as data:
        done = subprocess.run(command, env=environment, stdin=data, capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{command}: {done.stderr.decode()}")
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", default=TOP / "build/release/tests/conformance/s3/s3_tool")
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--part-mib", type=int, default=8)
    parser.add_argument("--in-flight", type=int, default=4)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    work = s3_servers.working_folder(tempfile.gettempdir())
    servers = {}
    try:
        s3_servers.start_one(servers, "rgw", "start-ceph-rgw.sh", work / "rgw", s3_servers.free_ports(10))
        run(options, work, servers["rgw"])
    finally:
        if (work / "rgw/pids").exists():
            subprocess.run([TOP / "tests/servers/stop-server.sh", work / "rgw"], check=False,
                           stdout=subprocess.DEVNULL)
        shutil.rmtree(work, ignore_errors=True)


def run(options, work, rgw):
    source = work / "source"
    piece = random.Random(1).randbytes(1 << 20)
    with open(source, "wb") as file:
        for _ in range(options.mib):
            file.write(piece)
    endpoint = rgw["S3_ENDPOINT"]
    of_rclone = {**plain_environment(), "RCLONE_CONFIG": "/dev/null", "RCLONE_CONFIG_S_TYPE": "s3",
                 "RCLONE_CONFIG_S_PROVIDER": "Ceph", "RCLONE_CONFIG_S_ENDPOINT": endpoint,
                 "RCLONE_CONFIG_S_ACCESS_KEY_ID": rgw["S3_ACCESS_KEY"],
                 "RCLONE_CONFIG_S_SECRET_ACCESS_KEY": rgw["S3_SECRET_KEY"],
                 "RCLONE_CONFIG_S_REGION": "us-east-1", "RCLONE_CONFIG_S_FORCE_PATH_STYLE": "true"}
    of_tool = {**plain_environment(), "S3_ENDPOINT": endpoint, "S3_PATH_STYLE": "1", "S3_BUCKET": BUCKET,
               "S3_ACCESS_KEY": rgw["S3_ACCESS_KEY"], "S3_SECRET_KEY": rgw["S3_SECRET_KEY"],
               "S3_PART_SIZE": str(options.part_mib << 20), "S3_IN_FLIGHT": str(options.in_flight)}
    subprocess.run(["rclone", "mkdir", f"s:{BUCKET}"], env=of_rclone, check=True)
    commands = {
        "rclone": (["rclone", "copyto", str(source), f"s:{BUCKET}/object", "--s3-upload-cutoff", "0",
                    "--s3-chunk-size", f"{options.part_mib}M", "--s3-upload-concurrency", str(options.in_flight),
                    "--s3-no-check-bucket"], of_rclone),
        "kvbackup": ([str(options.tool), "put", "object"], of_tool)}
    times = {name: [] for name in commands}
    for _ in range(options.runs):
        for name, (command, environment) in commands.items():
            times[name].append(timed(command, environment, source))
            subprocess.run(["rclone", "deletefile", f"s:{BUCKET}/object"], env=of_rclone, check=True)
            # else the space comes back after hours, and a full store makes everybody wait
            subprocess.run(["radosgw-admin", "-c", work / "rgw/ceph.conf", "-n", "client.rgw", "gc", "process",
                            "--include-all"], check=True, capture_output=True)
    load = os.getloadavg()[0]
    print(f"{options.mib} MiB, parts of {options.part_mib} MiB, {options.in_flight} in flight, {options.runs} runs, "
          f"load {load:.1f}")
    median = {}
    for name, each in times.items():
        wall, cpu = (statistics.median(column) for column in zip(*each))
        median[name] = wall, cpu
        print(f"{name:9} {wall:7.2f} s ({', '.join(f'{w:.2f}' for w, _ in each)}), {options.mib / wall:6.0f} MiB/s, "
              f"{cpu:6.2f} CPU s")
    print(f"kvbackup / rclone: time {median['kvbackup'][0] / median['rclone'][0]:.2f}, "
          f"CPU {median['kvbackup'][1] / median['rclone'][1]:.2f}")


if __name__ == "__main__":
    main()
