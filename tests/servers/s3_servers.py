#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Ceph's gateway and OpenStack Swift's s3api on loopback, for as long as several tests need them.

    s3_servers.py start FOLDER    ends those of an earlier start, starts both; returns when they answer
    s3_servers.py stop FOLDER     ends them; no error if there are none

FOLDER/servers.json then says where each is: its working folder and what its start script printed; and
the folder of the certificates. Ports are free ones. Processes are ended by the ids that were noted.
"""
import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).parent


def free_ports(count):
    """The first of `count` ports in a row that nobody listens on. Below those that the system gives
    to clients, so that none of them takes one meanwhile."""
    while True:
        base = random.randrange(20000, 32000)
        held = []
        try:
            for port in range(base, base + count):
                held.append(socket.create_server(("127.0.0.1", port)))
            return base
        except OSError:
            continue
        finally:
            for each in held:
                each.close()


def working_folder(otherwise):
    """A new folder with a short path, since sockets are made in it, on a file system that knows
    extended attributes, since Swift keeps its metadata there."""
    for base in (tempfile.gettempdir(), "/var/tmp", otherwise):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="kvbackup_s3_", dir=base))
        try:
            os.setxattr(folder, "user.test", b"x")
            return folder
        except OSError:
            folder.rmdir()
    raise RuntimeError("no file system here has extended attributes")


def start_one(servers, name, script, folder, port, **environment):
    done = subprocess.run([HERE / script, folder, str(port)], text=True, check=False, capture_output=True,
                          env={**os.environ, **environment}, stdin=subprocess.DEVNULL, timeout=300)
    if done.returncode != 0:
        raise RuntimeError(f"{script}: {done.stdout}{done.stderr}")
    about = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    servers[name] = {"folder": str(folder), "port": port, **about}


def start(place):
    stop(place)
    place.mkdir(parents=True, exist_ok=True)
    work = working_folder(place)
    servers = {"work": str(work), "ca": str(work / "ca")}
    note = place / "servers.json"
    note.write_text(json.dumps(servers))  # so that stop() finds what a failure leaves
    subprocess.run([HERE / "make-test-ca.sh", work / "ca"], check=True, stdout=subprocess.DEVNULL)
    failures, ports = [], free_ports(14)

    def attempt(*words, **environment):
        try:
            start_one(servers, *words, **environment)
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            failures.append(str(error))
    # both at once: each waits for its own processes most of the time
    threads = [threading.Thread(target=attempt, args=("swift", "start-swift-s3.sh", work / "swift", ports + 10)),
               threading.Thread(target=attempt, args=("rgw", "start-ceph-rgw.sh", work / "rgw", ports),
                                kwargs={"RGW_TLS_CERT": str(work / "ca/server-both.pem"), "RGW_STS": "1"})]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        stop(place)
        sys.exit("\n".join(failures))
    note.write_text(json.dumps(servers, indent=1))


def stop(place):
    note = place / "servers.json"
    if not note.exists():
        return
    work = pathlib.Path(json.loads(note.read_text())["work"])
    for name in ("rgw", "swift"):
        if (work / name / "pids").exists():
            subprocess.run([HERE / "stop-server.sh", work / name], check=False, stdin=subprocess.DEVNULL)
    shutil.rmtree(work, ignore_errors=True)
    note.unlink()


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("start", "stop"):
        sys.exit(__doc__)
    {"start": start, "stop": stop}[sys.argv[1]](pathlib.Path(sys.argv[2]).resolve())
