# SPDX-License-Identifier: Apache-2.0
"""Backups through `kvbackup serve` by clients that nobody here wrote, and what it refuses."""
import json
import shutil
import socket
import subprocess
import time
import unittest

import grpc
from serve_support import CERTIFICATES, HEALTH, PAIRS, Server, ServeTest, backup_pb2, pem, raw_request

WRONG_USAGE, COULD_NOT_FINISH = 2, 1


class BackupTest(ServeTest):
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


class TransactionalTest(ServeTest):
    """A RocksDB in TiKV's layout that holds the one row of golden/tikv-5.0.0rc-1kv-write.sst."""
    KEY = "7480000000000000ff365f720168656c6cff6f000000fc000000fc"
    COMMITTED = 423978913202700291
    START = bytes.fromhex("7480000000000000365f720000000000000000")
    END = bytes.fromhex("7480000000000000365f72ffffffffffffffff00")

    def setUp(self):
        super().setUp()
        if shutil.which("ldb") is None:
            self.skipTest("ldb (rocksdb-tools) is not installed")
        self.tikv = self.folder / "tikv"
        self.ldb("--create_if_missing", "--hex", "put", "0x7a", "0x00")
        self.ldb("--hex", "delete", "0x7a")
        for family in ("write", "lock"):
            self.ldb("create_column_family", family)
        self.ldb("--column_family=write", "--hex", "put", "0x7a" + self.KEY + "fa1db96cbe4bfffc",
                 "0x508280d08db4d291f1057606800000000000")

    def ldb(self, *arguments):
        subprocess.run(["ldb", f"--db={self.tikv}", *arguments], capture_output=True, timeout=60, check=True)

    def request(self, **versions):
        request = raw_request(self.backup, start_key=self.START, end_key=self.END, compression_type=backup_pb2.ZSTD,
                              **versions)
        request.is_raw_kv = False
        return request

    def tikv_server(self, *arguments):
        return Server("--source", f"rocksdb:{self.tikv}", "--allow-local", self.folder, *arguments)

    def test_the_file_of_a_row_is_that_of_tikv(self):
        with self.tikv_server() as server:
            response, = server.ask(self.request(end_version=self.COMMITTED + 1))
            earlier, = server.ask(self.request(end_version=self.COMMITTED - 1))
        file, = response.files
        self.assertEqual(file.sha256.hex(), "aa5cefba077644dbb2aa1d7fae2a0f879b56411195ad62d18caaf4ec76fae48f")
        self.assertEqual((file.crc64xor, file.total_kvs, file.total_bytes, file.size, file.cf),
                         (8093018294706076845, 1, 27, 1423, "write"))
        self.assertRegex(file.name, "^1_1_1_6e97c3b17c657c4413724f614a619f5b665b990187b159e7d2b92552076144b6_[0-9]+"
                                    "_write[.]sst$")
        self.assertEqual((earlier.start_key, earlier.end_key, len(earlier.files)), (self.START, self.END, 0))

    def test_a_lock_is_a_key_error_and_a_safe_point_is_kept(self):
        # TiKV components/txn_types/src/lock.rs: Put, primary of length 1 (zig-zag), ts 5, ttl 3000
        self.ldb("--column_family=lock", "--hex", "put", "0x7a" + self.KEY, "0x5002" + "70" + "05" + "b817")
        with self.tikv_server("--gc-safe-point", 50) as server:
            locked, = server.ask(self.request(end_version=100))
            collected, = server.ask(self.request(end_version=49))
            code, text = server.refusal(self, self.request(end_version=0))
        info = locked.error.kv_error.locked
        self.assertEqual((info.key.hex(), info.primary_lock, info.lock_version, info.lock_ttl),
                         ("7480000000000000365f720168656c6c6f000000fc", b"p", 5, 3000))
        self.assertRegex(collected.error.msg, "49.*50")
        self.assertEqual(code, grpc.StatusCode.INVALID_ARGUMENT)
        self.assertIn("end_version", text)


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
            for path in (outside, f"{allowed}/../outside", f"{allowed}x", "/", "", "allowed",
                         f"{allowed}/a/../../outside"):
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
                request = raw_request(None)
                request.storage_backend.s3.CopyFrom(backup_pb2.S3(
                    bucket="mine", prefix="daily", endpoint=endpoint, acl="public-read", access_key="AKIDKEY",
                    secret_access_key="SECRET"))
                self.assertIn("stores nothing that everyone could read", self.error_of(server, request).msg)
                # an allowed one is tried, and nobody is there
                request = raw_request(None)
                request.storage_backend.s3.CopyFrom(backup_pb2.S3(
                    bucket="mine", prefix="daily/1", endpoint=endpoint, access_key="AKIDKEY",
                    secret_access_key="SECRET"))
                code, _ = server.refusal(self, request, timeout=3)
                self.assertEqual(code, grpc.StatusCode.DEADLINE_EXCEEDED)
        self.assertIn("kvbackup: again in ", server.errors)
        self.assertEqual(len(server.lines), 8)
        for said in (server.errors, *map(json.dumps, server.lines)):
            self.assertNotIn("SECRET", said)
            self.assertNotIn("AKIDKEY", said)

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

    def wait_until_written(self):
        """Until the request is at work: its temporary file is there."""
        deadline = time.monotonic() + 60
        while not self.backup.exists() or not list(self.backup.iterdir()):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def test_a_client_that_goes_away_ends_its_request(self):
        with self.serve("--max-requests", 1) as server, server.channel() as channel:
            call = server.stream(self.slow(), channel)
            self.wait_until_written()
            call.cancel()
            # the one thread there is would be busy for hours, if the request were not at its end
            server.ask(raw_request(self.folder / "quick"))
        self.assertEqual([line["ok"] for line in server.lines], [False, True])
        self.assertIn("cancelled", server.lines[0]["result"])
        self.assertEqual(list(self.backup.iterdir()), [])

    def test_a_deadline_that_passes_ends_the_request(self):
        with self.serve("--max-requests", 1) as server:
            code, _ = server.refusal(self, self.slow(), timeout=3)
            self.assertEqual(code, grpc.StatusCode.DEADLINE_EXCEEDED)
            # the one thread there is would be busy for hours, if the request were not at its end
            self.assertFalse(server.ask(raw_request(self.folder / "quick"))[0].HasField("error"))
        self.assertEqual([line["ok"] for line in server.lines], [False, True])

    def test_a_signal_ends_requests_and_program_in_order(self):
        with self.serve() as server, server.channel() as channel:
            call = server.stream(self.slow(), channel)
            self.wait_until_written()
            server.end()
            with self.assertRaises(grpc.RpcError) as caught:
                list(call)
            self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE)
            server.process.wait(60)
        self.assertEqual([line["ok"] for line in server.lines], [False])
        self.assertEqual(list(self.backup.iterdir()), [])


class TlsTest(ServeTest):
    def test_only_clients_with_a_certificate_of_the_authority_are_served(self):
        arguments = ("--tls-cert", CERTIFICATES / "server.pem", "--tls-key", CERTIFICATES / "server.key",
                     "--tls-ca", CERTIFICATES / "ca.pem")
        ours = grpc.ssl_channel_credentials(pem("ca.pem"), pem("client.key"), pem("client.pem"))
        strangers = grpc.ssl_channel_credentials(pem("ca.pem"), pem("other.key"), pem("other.pem"))
        nobody = grpc.ssl_channel_credentials(pem("ca.pem"))
        with self.serve(*arguments) as server:
            self.assertFalse(server.ask(raw_request(self.backup), ours)[0].HasField("error"))
            for credentials in (None, strangers, nobody):
                code, _ = server.refusal(self, raw_request(self.backup), credentials)
                self.assertEqual(code, grpc.StatusCode.UNAVAILABLE)
        self.assertEqual(len(server.lines), 1)
        self.assertIn("localhost", server.lines[0]["identity"])


if __name__ == "__main__":
    unittest.main()
