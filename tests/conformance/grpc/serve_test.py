# SPDX-License-Identifier: Apache-2.0
"""Backups through `kvbackup serve` by clients that nobody here wrote, and what it refuses."""
import hashlib
import json
import os
import shutil
import socket
import subprocess
import unittest

import grpc
from serve_support import HEALTH, PAIRS, Server, ServeTest, backup_pb2, pem, raw_request

WRONG_USAGE, COULD_NOT_FINISH = 2, 1
HERE = os.path.dirname(os.path.abspath(__file__))


class BackupTest(ServeTest):
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

    def split_keys(self, *keys):
        path = self.folder / "split"
        path.write_text("".join(f"{key.hex()}\n" for key in keys))
        return path

    def test_python_backs_a_store_up_and_decodes_every_response(self):
        middle = b"\x80"
        with self.serve("--split-keys", self.split_keys(middle), "--store-id", 5) as server:
            request = raw_request(self.backup, compression_type=backup_pb2.ZSTD, compression_level=1,
                                  concurrency=2)
            responses = server.ask(request)
            nothing = server.ask(raw_request(self.backup, start_key=b"\xff\xff\xff", end_key=b""))
        self.assertEqual(len(responses), 2)
        self.assertEqual(self.check_files(responses, b"", b""), PAIRS)
        self.assertEqual({f.name.rsplit("_", 2)[0].split("_")[0] for r in responses for f in r.files}, {"5"})
        self.assertFalse((self.backup / "backupmeta").exists())
        self.assertEqual([(r.start_key, len(r.files)) for r in nothing], [(b"\xff\xff\xff", 0)])
        if shutil.which("sst_dump") is not None:
            for response in responses:
                for file in response.files:
                    said = subprocess.run(["sst_dump", "--command=verify", f"--file={self.backup / file.name}"],
                                          text=True, capture_output=True, timeout=60, check=False)
                    self.assertIn("The file is ok", said.stdout + said.stderr)
        first, second = server.lines
        self.assertTrue(first["peer"].startswith("ipv4:127.0.0.1:"))
        self.assertEqual((first["ok"], first["responses"], first["total_kvs"]), (True, 2, PAIRS))
        self.assertEqual(first["storage"], f"local://{self.backup}")
        self.assertEqual((second["start"], second["files"]), ("ffffff", 0))

    def test_node_backs_a_store_up_with_the_schema_loaded_at_run_time(self):
        with self.serve("--split-keys", self.split_keys(b"\x80"), "--file-size", 1) as server:
            said = subprocess.run(["node", os.path.join(HERE, "node_client.js"), server.address,
                                   os.environ["KVBACKUP_PROTO"], str(self.backup)],
                                  text=True, capture_output=True, timeout=120, check=False)
        self.assertEqual(said.returncode, 0, said.stderr)
        answer = json.loads(said.stdout)
        self.assertEqual(answer["health"], "SERVING")
        responses = []
        for each in answer["responses"]:
            response = backup_pb2.BackupResponse(start_key=bytes.fromhex(each["start_key"]),
                                                 end_key=bytes.fromhex(each["end_key"]))
            for file in each["files"]:
                response.files.add(
                    name=file["name"], sha256=bytes.fromhex(file["sha256"]), size=int(file["size"]),
                    start_key=bytes.fromhex(file["start_key"]), end_key=bytes.fromhex(file["end_key"]),
                    cf=file["cf"], total_kvs=int(file["total_kvs"]), total_bytes=int(file["total_bytes"]),
                    crc64xor=int(file["crc64xor"]))
            responses.append(response)
        responses.sort(key=lambda r: r.start_key)
        self.assertGreater(len(responses), 2)
        self.assertEqual(self.check_files(responses, b"", b""), PAIRS)
        # what another client reads of the same store is the same
        with self.serve("--split-keys", self.split_keys(b"\x80"), "--file-size", 1) as server:
            other = self.folder / "other"
            again = server.ask(raw_request(other, compression_type=backup_pb2.LZ4))
        self.assertEqual([(f.crc64xor, f.sha256) for r in again for f in r.files],
                         [(f.crc64xor, f.sha256) for r in responses for f in r.files])

    def test_the_health_service_says_serving(self):
        with self.serve() as server, server.channel() as channel:
            check = channel.unary_unary(HEALTH)
            self.assertEqual(check(b""), b"\x08\x01")
            with self.assertRaises(grpc.RpcError) as caught:
                check(b"\x0a\x03abc")
            self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)

    def test_rocksdb_and_leveldb_are_served_as_well(self):
        for scheme in ("rocksdb", "leveldb"):
            store = self.folder / scheme
            self.generate(store, scheme)
            self.backup = self.folder / f"backup-{scheme}"
            with Server("--source", f"{scheme}:{store}", "--allow-local", self.folder) as server:
                responses = server.ask(raw_request(self.backup))
            self.assertEqual(self.check_files(responses, b"", b""), PAIRS)


class RefusalTest(ServeTest):
    def test_what_can_never_be_served_is_a_status_that_says_why(self):
        with self.serve() as server:
            code, text = server.refusal(self, raw_request(self.backup, cf="nope"))
            self.assertEqual(code, grpc.StatusCode.UNKNOWN)
            self.assertIn('InvalidCf { cf: "nope" }', text)
            code, text = server.refusal(self, raw_request(self.backup, start_key=b"b", end_key=b"a"))
            self.assertEqual(code, grpc.StatusCode.INVALID_ARGUMENT)
            self.assertIn("must be below its end", text)
            code, text = server.refusal(self, raw_request(self.backup, compression_type=9))
            self.assertEqual(code, grpc.StatusCode.INVALID_ARGUMENT)
            self.assertIn("the compression type 9 is not known", text)
            request = raw_request(self.backup)
            request.is_raw_kv = False
            request.end_version = 7
            code, text = server.refusal(self, request)
            self.assertEqual(code, grpc.StatusCode.INVALID_ARGUMENT)
            self.assertIn("transactional", text)
        self.assertFalse(self.backup.exists())
        self.assertEqual([line["ok"] for line in server.lines], [False] * 4)

    def error_of(self, server, request):
        response, = server.ask(request)
        self.assertTrue(response.HasField("error"))
        self.assertEqual((response.start_key, response.end_key), (request.start_key, request.end_key))
        self.assertFalse(response.files)
        return response.error

    def test_a_request_for_another_cluster_learns_both_ids(self):
        with self.serve("--cluster-id", 42) as server:
            error = self.error_of(server, raw_request(self.backup, cluster_id=43, start_key=b"a"))
            self.assertEqual((error.cluster_id_error.current, error.cluster_id_error.request), (42, 43))
            self.assertEqual(len(server.ask(raw_request(self.backup, cluster_id=42))), 1)

    def test_storage_that_is_unset_or_cannot_be_written_is_an_error_that_br_reads(self):
        (self.folder / "file").write_text("no folder")
        with self.serve() as server:
            self.assertIn("Io(Custom { kind: NotFound, error: \"not_found: bad storage backend",
                          self.error_of(server, raw_request(None)).msg)
            self.assertIn("Io(Custom { kind: ",
                          self.error_of(server, raw_request(self.folder / "file" / "sub")).msg)

    def test_files_of_the_same_name_are_never_replaced(self):
        with self.serve() as server:
            self.assertFalse(server.ask(raw_request(self.backup))[0].HasField("error"))
            before = {path.name: path.read_bytes() for path in self.backup.iterdir()}
            message = self.error_of(server, raw_request(self.backup)).msg
        self.assertIn("Io(Custom { kind: AlreadyExists", message)
        self.assertEqual(before, {path.name: path.read_bytes() for path in self.backup.iterdir()})

    def test_nothing_leads_out_of_the_folders_that_are_allowed(self):
        allowed = self.folder / "allowed"
        outside = self.folder / "outside"
        allowed.mkdir()
        outside.mkdir()
        (allowed / "link").symlink_to(outside)
        (self.folder / "alias").symlink_to(allowed)
        source = ("--source", f"lmdb:{self.store}")
        with Server(*source, "--allow-local", self.folder / "alias") as server:
            for path in (outside, f"{allowed}/../outside", f"{allowed}x", "/", "", "allowed", f"{allowed}/a/../../outside"):
                message = self.error_of(server, raw_request(path)).msg
                self.assertTrue("PermissionDenied" in message or path == "", message)
            message = self.error_of(server, raw_request(allowed / "link")).msg
            self.assertIn("Io(Custom { kind: ", message)
            message = self.error_of(server, raw_request(allowed / "link" / "deeper")).msg
            self.assertIn("Io(Custom { kind: ", message)
            self.assertEqual(list(outside.iterdir()), [])
            for number, path in enumerate((allowed, f"{self.folder}/alias/1", f"{allowed}//2/./a/")):
                self.assertFalse(server.ask(raw_request(path))[0].HasField("error"), number)
            self.assertEqual(len(list((allowed / "2" / "a").iterdir())), 1)
        with Server(*source) as server:  # nothing is allowed
            self.assertIn("PermissionDenied", self.error_of(server, raw_request(allowed)).msg)
            request = raw_request(None)
            request.storage_backend.noop.SetInParent()
            self.assertFalse(server.ask(request)[0].HasField("error"))

    def test_buckets_and_endpoints_are_those_that_are_allowed_and_no_secret_is_shown(self):
        with socket.socket() as unused:  # bound and not listening: whoever connects is refused
            unused.bind(("127.0.0.1", 0))
            endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
            with self.serve("--allow-storage", f"s3://mine/daily?endpoint={endpoint}") as server:
                for bucket, prefix, where in (("mine", "daily", ""), ("mine", "daily", "http://127.0.0.1:1"),
                                              ("other", "daily", endpoint), ("mine", "", endpoint),
                                              ("mine", "dailyx", endpoint), ("mine", "daily/../x", endpoint)):
                    request = raw_request(None)
                    request.storage_backend.s3.CopyFrom(backup_pb2.S3(
                        bucket=bucket, prefix=prefix, endpoint=where, access_key="AKIDKEY", secret_access_key="SECRET"))
                    self.assertIn("PermissionDenied", self.error_of(server, request).msg)
                # an allowed one is tried, and nobody is there
                request = raw_request(None, end_key=b"\x10")
                request.storage_backend.s3.CopyFrom(backup_pb2.S3(
                    bucket="mine", prefix="daily/1", endpoint=endpoint, access_key="AKIDKEY",
                    secret_access_key="SECRET"))
                code, _ = server.refusal(self, request, timeout=1)
                self.assertEqual(code, grpc.StatusCode.DEADLINE_EXCEEDED)
        self.assertEqual(len(server.lines), 7)
        for line in server.lines:
            self.assertNotIn("SECRET", json.dumps(line))
            self.assertNotIn("AKIDKEY", json.dumps(line))

    def test_listening_beyond_loopback_needs_proof_of_who_asks(self):
        source = ("--source", f"lmdb:{self.store}")
        self.fail(WRONG_USAGE, "--insecure", *source, "--listen", "0.0.0.0:0")
        self.fail(WRONG_USAGE, "--insecure", *source, "--listen", "[::]:0")
        self.fail(WRONG_USAGE, "HOST:PORT", *source, "--listen", "localhost")
        self.fail(WRONG_USAGE, "go together", *source, "--tls-cert", "a")
        self.fail(WRONG_USAGE, "PEM", *source, "--tls-cert", self.store, "--tls-key", self.store)
        self.fail(WRONG_USAGE, "strictly rise", *source, "--split-keys", self.write("split", "62\n61\n"))
        self.fail(WRONG_USAGE, "line 2", *source, "--split-keys", self.write("split", "62\nxy\n"))
        self.fail(WRONG_USAGE, "serve takes rocksdb, lmdb and leveldb", "--source", "tsv:-")
        self.fail(WRONG_USAGE, "absolute path", *source, "--allow-local", "relative")
        self.fail(COULD_NOT_FINISH, "not_found", "--source", f"rocksdb:{self.folder}/nothing")

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path


class EndTest(ServeTest):
    """Requests that end early. Their rate is so low that they would last for hours."""

    def slow(self):
        return raw_request(self.backup, rate_limit=1000)

    def test_a_client_that_goes_away_ends_its_request(self):
        with self.serve() as server, server.channel() as channel:
            call = server.stream(self.slow(), channel)
            # of a second, quick request, so that the slow one is at work for sure
            server.ask(raw_request(self.folder / "quick"))
            call.cancel()
            self.assert_work_ends(server)
        self.assertEqual([line["ok"] for line in server.lines], [True, False, True])
        self.assertIn("cancelled", server.lines[1]["result"])
        self.assertEqual(list(self.backup.glob("*")), [])

    def assert_work_ends(self, server):
        """A server of --max-requests 1 would answer that it is busy; this one only logs: ask until it has."""
        server.ask(raw_request(None, start_key=b"\xff\xff\xff\xff", end_key=b"", cf="default"))

    def test_a_deadline_that_passes_ends_the_request(self):
        with self.serve("--max-requests", 1) as server:
            code, _ = server.refusal(self, self.slow(), timeout=0.5)
            self.assertEqual(code, grpc.StatusCode.DEADLINE_EXCEEDED)
            # the one thread there is would be busy for hours, if the request were not at its end
            self.assertFalse(server.ask(raw_request(self.folder / "quick"))[0].HasField("error"))
        self.assertEqual([line["ok"] for line in server.lines], [False, True])

    def test_a_signal_ends_requests_and_program_in_order(self):
        with self.serve() as server, server.channel() as channel:
            call = server.stream(self.slow(), channel)
            server.ask(raw_request(self.folder / "quick"))
            server.end()
            with self.assertRaises(grpc.RpcError) as caught:
                list(call)
            self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE)
            server.process.wait(60)
        self.assertEqual([line["ok"] for line in server.lines], [True, False])
        self.assertEqual(list(self.backup.glob("*")), [])


class TlsTest(ServeTest):
    def test_only_clients_with_a_certificate_of_the_authority_are_served(self):
        files = {flag: ServeTest and f"{pem.__globals__['CERTIFICATES']}/{name}" for flag, name in
                 (("--tls-cert", "server.pem"), ("--tls-key", "server.key"), ("--tls-ca", "ca.pem"))}
        arguments = [part for pair in files.items() for part in pair]
        ours = grpc.ssl_channel_credentials(pem("ca.pem"), pem("client.key"), pem("client.pem"))
        strangers = grpc.ssl_channel_credentials(pem("ca.pem"), pem("other.key"), pem("other.pem"))
        nobody = grpc.ssl_channel_credentials(pem("ca.pem"))
        # with mutual TLS other addresses need no --insecure; 0.0.0.0 is reached on loopback too
        with self.serve(*arguments, listen="0.0.0.0:0") as server:
            server.address = server.address.replace("0.0.0.0", "127.0.0.1")
            self.assertFalse(server.ask(raw_request(self.backup), ours)[0].HasField("error"))
            for credentials in (None, strangers, nobody):
                code, _ = server.refusal(self, raw_request(self.backup), credentials)
                self.assertEqual(code, grpc.StatusCode.UNAVAILABLE)
        self.assertEqual(len(server.lines), 1)
        self.assertIn("localhost", server.lines[0]["identity"])


if __name__ == "__main__":
    unittest.main()
