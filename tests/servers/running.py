# SPDX-License-Identifier: Apache-2.0
"""Starts the servers of this folder, keeps them running, and ends those it started."""
import json
import pathlib
import signal
import subprocess
import sys
import threading
import urllib.request

HERE = pathlib.Path(__file__).parent


class Server:
    """One server; with `again`, started anew with the same port whenever it is killed."""

    def __init__(self, script, *arguments, again=False):
        self._command = [sys.executable, str(HERE / script), *map(str, arguments)]
        self._again = again
        self._lock = threading.Lock()
        self._ended = False
        self._process = self._start(self._command)
        self.ports = [int(port) for port in self._process.stdout.readline().split()]
        if not self.ports:
            raise RuntimeError(f"{script} did not start")
        self.port = self.ports[0]
        self.url = f"http://127.0.0.1:{self.port}"
        if again:
            threading.Thread(target=self._keep, daemon=True).start()

    @staticmethod
    def _start(command):
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def _keep(self):
        while True:
            self._process.wait()
            with self._lock:
                if self._ended or self._process.returncode != -signal.SIGKILL:
                    return
                self._process.stdout.close()
                self._process = self._start([*self._command, "--port", str(self.port)])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with self._lock:
            self._ended = True
            self._process.terminate()
        self._process.wait()
        self._process.stdout.close()


def control(port, call, argument=None):
    """One of the calls of faults.py; its JSON."""
    data = None if argument is None else json.dumps(argument).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/control/{call}", data)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=90) as answer:
        return json.load(answer)
