#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a program with the Cloud Storage test server and the fault proxy before it.

    with_gcs.py PROGRAM [ARGUMENT]...

The program finds in its environment: KVBACKUP_TEST_GCS and KVBACKUP_TEST_GCS_PROXY, the URLs of both;
KVBACKUP_TEST_GCS_PROXY_CONTROL, that of the proxy's control; KVBACKUP_TEST_GCS_KEY, the service
account's key file. A server that is killed is started again. The exit code is the program's.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

from running import Server


def main():
    with tempfile.TemporaryDirectory(prefix="kvbackup-gcs-") as folder:
        data = pathlib.Path(folder) / "data"
        # pages of 5, so that few objects are many pages
        with Server("gcs_server.py", "--data", data, "--page-limit", 5, again=True) as server, \
                Server("fault_proxy.py", "--to", f"127.0.0.1:{server.port}") as proxy:
            environment = dict(os.environ, KVBACKUP_TEST_GCS=server.url, KVBACKUP_TEST_GCS_PROXY=proxy.url,
                               KVBACKUP_TEST_GCS_PROXY_CONTROL=f"http://127.0.0.1:{proxy.ports[1]}",
                               KVBACKUP_TEST_GCS_KEY=str(data / "key.json"))
            return subprocess.run(sys.argv[1:], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
