# SPDX-License-Identifier: Apache-2.0
"""`kvbackup serve` as a context, and clients of it by grpcio and protoc's classes."""
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.environ["KVBACKUP_PROTOC_CLASSES"])
# pylint: disable=wrong-import-position
import backup_pb2  # noqa: E402
import grpc  # noqa: E402

PROGRAM = os.environ["KVBACKUP"]
CERTIFICATES = pathlib.Path(os.environ["KVBACKUP_TEST_CERTIFICATES"])
BACKUP = "/backup.Backup/backup"
HEALTH = "/grpc.health.v1.Health/Check"
PAIRS = 20000


def pem(name):
    return (CERTIFICATES / name).read_bytes()


def raw_request(folder, **fields):
    request = backup_pb2.BackupRequest(is_raw_kv=True, **fields)
    if folder is not None:
        request.storage_backend.local.path = str(folder)
    return request


class Server:
    """A `serve` that listens on a free port. After the block `lines` holds its audit."""

    def __init__(self, *arguments):
        self.command = [PROGRAM, "serve", "--json", "--listen", "127.0.0.1:0", *map(str, arguments)]
        self.lines = []
        self.address = None
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)
        first = self.process.stdout.readline()
        if not first.startswith('{"command": "serve", "listening"'):
            self.process.kill()
            raise AssertionError(first + self.process.communicate()[1])
        self.address = json.loads(first)["listening"]
        return self

    def end(self):
        self.process.send_signal(signal.SIGTERM)

    def __exit__(self, kind, *_):
        self.end()
        try:
            output, errors = self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self.lines = [json.loads(line) for line in output.splitlines()]
        self.errors = errors
        said = [line for line in errors.splitlines() if not line.startswith("kvbackup: again in ")]
        if kind is None and (self.process.returncode != 0 or said):
            raise AssertionError(f"serve ended with {self.process.returncode}: {errors}")

    def channel(self, credentials=None):
        if credentials is None:
            return grpc.insecure_channel(self.address)
        return grpc.secure_channel(self.address, credentials)

    def stream(self, request, channel, **options):
        call = channel.unary_stream(BACKUP, backup_pb2.BackupRequest.SerializeToString,
                                    backup_pb2.BackupResponse.FromString)
        return call(request, **options)

    def ask(self, request, credentials=None, timeout=60):
        """All responses, by their first key."""
        with self.channel(credentials) as channel:
            return sorted(self.stream(request, channel, timeout=timeout), key=lambda r: r.start_key)

    def refusal(self, test, request, credentials=None, timeout=60):
        """The status of a call that must fail: its code and its text."""
        with test.assertRaises(grpc.RpcError) as caught:
            self.ask(request, credentials, timeout)
        return caught.exception.code(), caught.exception.details()


class ServeTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="kvbackup-serve-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.backup = self.folder / "backup"
        self.store = self.folder / "store"
        self.generate(self.store)

    def generate(self, path, scheme="lmdb"):
        subprocess.run([PROGRAM, "generate", "--sink", f"{scheme}:{path}", "--count", str(PAIRS)],
                       capture_output=True, timeout=120, check=True)

    def serve(self, *arguments):
        return Server("--source", f"lmdb:{self.store}", "--allow-local", self.folder, *arguments)

    def fail(self, code, text, *arguments):  # pylint: disable=arguments-renamed
        """`serve` ends at once with that exit code and that text."""
        result = subprocess.run([PROGRAM, "serve", *map(str, arguments)], text=True, capture_output=True,
                                timeout=60, check=False)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertIn(text, result.stderr)

    def split_keys(self, *keys):
        path = self.folder / "split"
        path.write_text("".join(f"{key.hex()}\n" for key in keys))
        return path

    def check_files(self, responses, start, end):
        """The responses tile the range, and their files are stored as they say. Gives their pairs."""
        at, pairs = start, 0
        for response in responses:
            self.assertFalse(response.HasField("error"), response.error)
            self.assertEqual(response.start_key, at)
            at = response.end_key
            for file in response.files:
                stored = (self.backup / file.name).read_bytes()
                self.assertEqual(hashlib.sha256(stored).digest(), file.sha256)
                self.assertEqual(len(stored), file.size)
                self.assertEqual((file.start_key, file.end_key, file.cf),
                                 (response.start_key, response.end_key, "default"))
                pairs += file.total_kvs
        self.assertEqual(at, end)
        return pairs
